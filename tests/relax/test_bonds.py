"""Bonds that broke or formed on the way of a relaxation."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from app.atoms.structure import Structure
from app.formats.ase_atoms import from_ase
from app.relax.bonds import changed_bonds, molecules


def moved(structure: Structure, atom: int, by: list[float]) -> Structure:
    positions = structure.positions.copy()
    positions[atom] += by
    return Structure(structure.numbers, positions, structure.cell, structure.pbc)


WATER = from_ase(molecule("H2O"))


def test_a_bond_that_broke_is_told_and_one_that_formed() -> None:
    far = moved(WATER, 1, [0.0, 2.0, -1.5])
    (broke,) = changed_bonds(WATER, far)
    assert broke.code == "bonds_changed"
    assert broke.message == "bonds broke between atom 0 (O) and atom 1 (H)"
    (formed,) = changed_bonds(far, WATER)
    assert "formed between atom 0 (O) and atom 1 (H)" in formed.message


@pytest.mark.parametrize("by", [[0.0, 0.0, 0.05], [0.0, 0.15, -0.15]])
def test_a_vibration_is_none(by: list[float]) -> None:
    assert changed_bonds(WATER, moved(WATER, 1, by)) == ()


def test_many_are_summed_up_and_crystals_are_not_looked_at() -> None:
    benzene = from_ase(molecule("C6H6"))
    torn = Structure(benzene.numbers, 3 * benzene.positions)
    (warning,) = changed_bonds(benzene, torn)
    assert warning.message.endswith("and 9 more")
    box, pbc = 20 * np.eye(3), np.array(True)
    crystals = (Structure(s.numbers, s.positions, box, pbc) for s in (benzene, torn))
    assert changed_bonds(*crystals) == ()


@pytest.mark.parametrize(("formula", "length"), [("H2", 0.79), ("F2", 1.58), ("I2", 2.9)])
def test_what_a_long_bond_joins_is_one_molecule(formula: str, length: float) -> None:
    atoms = Atoms(formula, [[0, 0, 0], [0, 0, length]])
    assert molecules(from_ase(atoms)).tolist() == [0, 0]


def test_two_waters_at_contact_are_two_molecules() -> None:
    other = WATER.positions + np.array([0.0, 0.0, 2.5])
    pair = Structure(np.tile(WATER.numbers, 2), np.concatenate([WATER.positions, other]))
    assert molecules(pair).tolist() == [0, 0, 0, 1, 1, 1]
