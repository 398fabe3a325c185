"""A store model in ASE."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

from app.errors import UnsupportedElement
from app.integrations.ase import EquipotCalculator


def test_forces_and_stress_are_the_energy_s_gradient_with_ase_s_signs(pair_store: Path) -> None:
    crystal = bulk("Ar", cubic=True, a=5.2) * (2, 1, 1)
    crystal.rattle(0.1, seed=0)
    crystal.calc = EquipotCalculator("pairs@1", pair_store)
    np.testing.assert_allclose(
        crystal.get_forces(), calculate_numerical_forces(crystal, eps=1e-4), atol=1e-7
    )
    np.testing.assert_allclose(
        crystal.get_stress(), calculate_numerical_stress(crystal, eps=1e-5), atol=1e-8
    )
    assert crystal.get_potential_energies().sum() == pytest.approx(crystal.get_potential_energy())


def test_energies_alone_are_a_call_of_their_own_until_forces_are_asked_for(
    pair_store: Path,
) -> None:
    crystal = bulk("Ar", cubic=True, a=5.2) * (2, 1, 1)
    crystal.rattle(0.1, seed=0)
    crystal.calc = EquipotCalculator("pairs@1", pair_store)
    energy = crystal.get_potential_energy(force_consistent=True)
    assert set(crystal.calc.results) == {"energy", "free_energy", "energies"}
    forces = crystal.get_forces()
    assert np.abs(forces).max() > 1e-3
    assert crystal.get_potential_energy() == energy
    assert set(crystal.calc.results) == {"energy", "free_energy", "energies", "forces", "stress"}


def test_an_element_that_the_model_does_not_know_is_named(pair_store: Path) -> None:
    atoms = Atoms("ArAu", [[0, 0, 0], [0, 0, 4]], calculator=EquipotCalculator("pairs", pair_store))
    with pytest.raises(UnsupportedElement, match="atom 1 is Au"):
        atoms.get_potential_energy()
