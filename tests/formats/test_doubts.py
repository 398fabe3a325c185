import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.collections import g2

from app.atoms.structure import Structure
from app.formats.ase_atoms import from_ase
from app.formats.doubts import Bonds, doubts

ORGANIC = [
    name for name in g2.names if {1, 6} <= set(molecule(name).numbers) and name not in ("HCN", "CH")
]


def codes(structure: Structure, *rest: object) -> list[str]:
    return [warning.code for warning in doubts(structure, *rest)]


def plain(atoms) -> Structure:
    return Structure(atoms.numbers, atoms.positions)


@pytest.mark.parametrize("name", [*g2.names, "C60"])
def test_whole_molecules_are_beyond_doubt(name):
    assert codes(plain(molecule(name))) == []


@pytest.mark.parametrize("name", ORGANIC)
def test_missing_hydrogens_are_told(name):
    atoms = molecule(name)
    heavy = atoms[atoms.numbers != 1]
    assert ("hydrogens_missing" in codes(plain(heavy))) == (len(heavy) > 1)


def test_a_few_polar_hydrogens_do_not_make_a_whole_molecule():
    atoms = molecule("CH3CH2OH")
    polar = atoms[[n for n in range(len(atoms)) if atoms.numbers[n] != 1 or n == 3]]
    assert codes(plain(polar))[:1] == ["hydrogens_missing"]


def test_crystals_are_not_molecules():
    assert codes(from_ase(bulk("C", "diamond", a=3.57))) == []
    assert codes(from_ase(bulk("C", "diamond", a=3.57) * (3, 3, 3))) == []


HEXAGON = 1.5 * np.array(
    [[np.cos(angle), np.sin(angle), 0.0] for angle in np.arange(6) * np.pi / 3]
)
PAIRS = np.array([[n, (n + 1) % 6] for n in range(6)] + [[5, 6]])
PHENOL = Structure(np.array([6] * 6 + [8]), [*HEXAGON, HEXAGON[5] * 2])
DRAWN = Bonds(PAIRS, np.array([1.0, 2, 1, 2, 1, 2, 1]))


def test_drawings_are_told_apart_from_flat_molecules():
    assert codes(PHENOL, DRAWN) == ["hydrogens_missing", "flat_sketch"]
    assert codes(PHENOL, DRAWN, False) == ["hydrogens_missing"]
    tilted = Structure(PHENOL.numbers, PHENOL.positions[:, [2, 0, 1]])
    assert codes(tilted, DRAWN) == ["hydrogens_missing"]
    flat = molecule("C6H6")
    assert np.ptp(flat.positions[:, 2]) == 0
    assert codes(plain(flat)) == []


def test_a_flat_tetrahedron_is_a_drawing():
    places = np.array([[0, 0], [1.1, 0], [-1.1, 0], [0, 1.1], [0, -1.1]])
    methane = Structure(np.array([6, 1, 1, 1, 1]), np.pad(places, ((0, 0), (0, 1))))
    assert codes(methane) == ["flat_sketch"]


def test_bonds_are_found_in_large_molecules_and_soups():
    chain = np.zeros((3000, 3))
    chain[:, 0] = 1.53 * np.arange(3000)
    assert codes(Structure(np.full(3000, 6), chain)) == ["hydrogens_missing", "flat_sketch"]
    soup = np.random.default_rng(0).normal(size=(3000, 3))
    assert isinstance(codes(Structure(np.full(3000, 6), soup)), list)
    far = np.array([[-1e6, -1e6, -1e6], [1e6, 1e6, 1e6]])
    assert codes(Structure(np.array([6, 6]), far)) == ["hydrogens_missing"]
