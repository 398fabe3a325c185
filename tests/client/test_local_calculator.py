"""A model of a store in ASE, in this process."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.constraints import FixBondLength

from app.backends.pair import PairBackend
from app.store.card import ModelCard
from app.store.store import ModelStore
from app.store.training_range import TrainingRange
from equipot import (
    AtomsTooClose,
    EquipotCalculator,
    InvalidRequest,
    OutOfDomain,
    OutOfDomainWarning,
    UnknownModel,
    UnsupportedCharge,
    UnsupportedElement,
)
from tests.extras import run_without
from tests.paths import MODEL_STORE


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


def test_a_trial_step_onto_another_atom_is_an_error_of_its_own(pair_store: Path) -> None:
    atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, 4]], calculator=EquipotCalculator("pairs", pair_store))
    energy = atoms.get_potential_energy()
    atoms.positions[1, 2] = 0.2
    with pytest.raises(AtomsTooClose, match=r"0.2 Å apart, and at least 0.3 Å is needed"):
        atoms.get_forces()
    atoms.positions[1, 2] = 4.0
    assert atoms.get_potential_energy() == energy


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"charges": [1, 0]}, "charge 1"),
        ({"magmoms": [1, 1]}, "multiplicity 3"),
        ({"info": {"charge": -1}}, "charge -1"),
    ],
)
def test_what_atoms_state_is_not_dropped(
    pair_store: Path, stated: dict[str, Any], told: str
) -> None:
    atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, 4]], **stated)
    atoms.calc = EquipotCalculator("pairs", pair_store)
    with pytest.raises(UnsupportedCharge, match=told):
        atoms.get_potential_energy()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda calc: pickle.loads(pickle.dumps(calc))])
def test_a_copy_opens_the_same_version_for_itself(
    tmp_path: Path, pair_card: ModelCard, copied
) -> None:
    store = ModelStore(tmp_path)
    with store.publish(pair_card):
        pass
    calculator = EquipotCalculator("pairs", tmp_path)
    dimer = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.9]], calculator=calculator)
    energy = dimer.get_potential_energy()
    halved = {element: {"epsilon": 1e-3, "sigma": 3.0} for element in pair_card.elements}
    with store.publish(ModelCard(**{**pair_card.model_dump(), "version": 2, "pair": halved})):
        pass
    other = copied(calculator)
    assert other.asked.model.backend is not calculator.asked.model.backend
    assert other.get_property("energy", dimer, allow_calculation=False) == energy
    other.reset()
    assert other.get_potential_energy(dimer) == energy
    newest = EquipotCalculator("pairs", tmp_path)
    assert newest.get_potential_energy(dimer) != pytest.approx(energy)


def test_a_network_is_copied_with_the_atoms_it_is_attached_to() -> None:
    water = Atoms(
        "OH2",
        [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]],
        calculator=EquipotCalculator(threads=1, backend="onnx"),
    )
    other = copy.deepcopy(water)
    other.calc.reset()
    np.testing.assert_array_equal(other.get_forces(), water.get_forces())


SCRIPT = """
from ase.build import molecule
from equipot import EquipotCalculator
water = molecule("H2O", calculator=EquipotCalculator())
print(water.get_forces().shape)
"""


@pytest.mark.parametrize("variable", [{}, {"EQUIPOT_MODEL_STORE": str(MODEL_STORE)}])
def test_it_needs_nothing_of_the_service_and_no_folder_of_its_own(
    tmp_path: Path, variable: dict[str, str]
) -> None:
    assert run_without(["serve", "aoti"], SCRIPT, folder=tmp_path, **variable) == "(3, 3)\n"


def test_the_environment_names_the_store(pair_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOT_MODEL_STORE", str(pair_store))
    assert EquipotCalculator("pairs").asked.model.backend.card.version == 2


@pytest.fixture
def trained(pair_card: ModelCard) -> PairBackend:
    """A model that knows argon from 3.6 to 4.2 Å."""
    trained_on = TrainingRange(most_atoms=2, closest={"Ar-Ar": 3.6}, farthest={"Ar": 4.2})
    return PairBackend(pair_card.model_copy(update={"trained_on": trained_on}))


def argon(distance: float) -> Atoms:
    return Atoms("Ar2", [[0, 0, 0], [0, 0, distance]])


def test_leaving_the_domain_is_told_once(trained: PairBackend) -> None:
    atoms = argon(3.9)
    atoms.calc = EquipotCalculator(trained)
    atoms.get_forces()
    assert atoms.calc.doubts == ()
    atoms.positions[1, 2] = 4.5
    with pytest.warns(OutOfDomainWarning, match=r"atom 0 \(Ar\) is 4\.50 Å"):
        atoms.get_forces()
    atoms.positions[1, 2] = 4.6
    atoms.get_forces()  # a second warning would be an error of this suite
    assert "4.60 Å" in atoms.calc.doubts[0].message
    atoms.positions[1, 2] = 3.9
    atoms.get_forces()
    assert atoms.calc.doubts == ()
    atoms.positions[1, 2] = 4.6
    atoms.get_forces()  # one that swings across the edge is told once, too
    others = Atoms("Ar3", [[0, 0, 0], [0, 0, 4.5], [0, 3.9, 0]], calculator=atoms.calc)
    with pytest.warns(OutOfDomainWarning, match=r"4\.50 Å"):
        others.get_forces()


def test_or_it_is_an_error(trained: PairBackend, pair_store: Path) -> None:
    atoms = argon(4.5)
    atoms.calc = EquipotCalculator(trained, on_ood="error")
    with pytest.raises(OutOfDomain, match=r"atom 0 \(Ar\) is 4\.50 Å"):
        atoms.get_forces()
    with pytest.raises(InvalidRequest, match="neither trained_on nor"):
        EquipotCalculator("pairs@1", pair_store, on_ood="error")


def test_a_model_that_is_not_there_is_told(pair_store: Path) -> None:
    with pytest.raises(UnknownModel, match="nothing") as told:
        EquipotCalculator("nothing", pair_store)
    assert told.value.code == "unknown_model"


WITHOUT = """
import sys
sys.modules["app"] = None
from equipot import EquipotCalculator, EquipotError
try:
    EquipotCalculator()
except EquipotError as error:
    print(error)
"""


def test_without_the_service_s_package_a_service_has_to_be_given(tmp_path: Path) -> None:
    told = run_without([], WITHOUT, folder=tmp_path)
    assert "pip install 'equipot[cpu]', or give the url of a service" in told


def test_constraints_are_ase_s_own_matter(pair_store: Path) -> None:
    atoms = argon(3.5)
    atoms.calc = EquipotCalculator("pairs", pair_store)
    atoms.set_constraint(FixBondLength(0, 1))
    np.testing.assert_allclose(atoms.get_forces(), 0, atol=1e-12)
    assert np.abs(atoms.get_forces(apply_constraint=False)).max() > 0.01
