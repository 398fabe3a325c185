"""Atoms that a sound molecule does not have."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from app.atoms.oddities import Oddities, oddities


def odd(atoms: Atoms) -> Oddities:
    vectors = atoms.positions[None] - atoms.positions[:, None]
    lengths = np.linalg.norm(vectors, axis=-1)
    i, j = np.nonzero((lengths < 5) & (lengths > 0))
    return oddities(atoms.numbers, i, atoms.numbers[j], vectors[i, j], lengths[i, j])


@pytest.mark.parametrize(
    "name", ["C6H6", "CH3CH2OH", "C2H2", "HCN", "CO", "CO2", "C3H4_D2d", "CH3COOH", "CS2", "C60"]
)
def test_sound_molecules_have_none(name: str) -> None:
    found = odd(molecule(name))
    assert not found.unsaturated.any()
    assert not found.free.any()
    assert not found.shared.any()


@pytest.mark.parametrize(
    ("name", "removed"),
    [("C2H6", 1), ("C6H6", 1), ("C2H4", 1), ("C2H2", 1), ("CH4", 1), ("CH4", 4)],
)
def test_a_carbon_that_lost_hydrogens(name: str, removed: int) -> None:
    whole = molecule(name)
    hydrogens = np.flatnonzero(whole.numbers == 1)[:removed]
    left = whole[np.delete(np.arange(len(whole)), hydrogens)]
    found = odd(left).unsaturated
    expected = 0 if name == "C2H2" else 1  # C≡C–H less a hydrogen: an end of carbon
    assert found.sum() == expected


def test_lengths_in_bohr_leave_no_neighbours() -> None:
    ethanol = molecule("CH3CH2OH")
    ethanol.positions *= 1.8897
    assert odd(ethanol).free.all()


def test_a_hydrogen_between_two_atoms() -> None:
    """The transition state of CH4 + OH−, and the contact of a hydrogen bond."""

    def at(to_carbon: float, to_oxygen: float) -> Oddities:
        methane = molecule("CH4")
        carbon, hydrogen = methane.positions[:2]
        axis = (hydrogen - carbon) / np.linalg.norm(hydrogen - carbon)
        methane.positions[1] = carbon + to_carbon * axis
        oxygen = methane.positions[1] + to_oxygen * axis
        side = np.cross(axis, [0.3, 1.0, 0.1])
        ends = [oxygen, oxygen + 0.97 * side / np.linalg.norm(side)]
        return odd(methane + Atoms("OH", ends))

    assert at(1.32, 1.25).shared.tolist() == [False, True] + 5 * [False]
    assert not at(1.09, 1.9).shared.any()
    assert not at(1.32, 2.2).shared.any()
