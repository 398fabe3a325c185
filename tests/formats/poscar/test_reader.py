import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.constraints import FixAtoms

from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.poscar import parse

ARGON = """Ar4
5.3
1 0 0
0 1 0
0 0 1
Ar
4
Direct
0 0 0
0 0.5 0.5
0.5 0 0.5
0.5 0.5 0

 0 0 0
"""
SLAB = """slab
1.0
3.75 0 0
0 3.75 0
0 0 20
Ar
2
Selective dynamics
Cartesian
0 0 5.0 F F F
1 1 8.5 T T T
"""


def only(text: str):
    (frame,) = parse(text)
    return frame.structure


def test_a_crystal_with_its_title():
    (frame,) = parse(ARGON)
    assert frame.id == "Ar4"
    assert frame.structure.symbols == ["Ar"] * 4
    np.testing.assert_allclose(frame.structure.cell, 5.3 * np.eye(3))
    np.testing.assert_allclose(frame.structure.positions[1], [0, 2.65, 2.65])
    assert frame.structure.pbc.all()


@pytest.mark.parametrize("direct", [True, False])
def test_what_ase_writes_is_read(tmp_path, direct):
    atoms = bulk("NaCl", "rocksalt", a=5.64) * (2, 1, 1)
    atoms.set_constraint(FixAtoms([1]))
    ase.io.write(tmp_path / "POSCAR", atoms, format="vasp", direct=direct, sort=True)
    structure = only((tmp_path / "POSCAR").read_text())
    expected = ase.io.read(tmp_path / "POSCAR", format="vasp")
    np.testing.assert_array_equal(structure.numbers, expected.numbers)
    np.testing.assert_allclose(structure.positions, expected.positions, atol=1e-9)
    np.testing.assert_allclose(structure.cell, expected.cell.array, atol=1e-9)
    assert np.flatnonzero(structure.fixed).tolist() == expected.constraints[0].index.tolist()


@pytest.mark.parametrize(
    ("scale", "lengths"),
    [("-148.877", [5.3] * 3), ("5 6 7", [5, 6, 7]), ("5.3 ! Å", [5.3] * 3), ("5.3d0", None)],
)
def test_scales(scale, lengths):
    structure = only(ARGON.replace("5.3", scale))
    if lengths is None:
        assert isinstance(structure, InvalidFormat)
    else:
        np.testing.assert_allclose(np.diag(structure.cell), lengths)


def test_cartesian_positions_are_scaled():
    scaled = SLAB.replace("1.0\n", "2.0\n", 1)
    np.testing.assert_allclose(only(scaled).positions, [[0, 0, 10], [2, 2, 17]])


def test_names_of_pseudopotentials_and_old_files():
    named = ARGON.replace("Ar\n4", "N_s H_h/2a4f\n3 1")
    assert only(named).symbols == ["N", "N", "N", "H"]
    assert only(ARGON.replace("Ar4", "Ar Ne").replace("Ar\n4", "3 1")).symbols[-1] == "Ne"


def test_atoms_that_may_not_move():
    assert only(SLAB).fixed.tolist() == [True, False]
    assert only(ARGON).fixed is None
    part = only(SLAB.replace("F F F", "F F T"))
    assert isinstance(part, InvalidStructure)
    assert "atom 0: selective dynamics fix some of its coordinates" in str(part)


def test_a_charge_in_the_comment_is_taken():
    assert only(ARGON.replace("Ar4", "charge=1")).charge == 1


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("Ar4", "charge " * 10_000, "line 1: 70000 characters; at most 65536 are read"),
        ("5.3", "much", "line 2: 'much' where 1 numbers are expected"),
        ("5.3", "5.3 5.3", "line 2: '5.3 5.3' are 2 scales of a cell; give one or three"),
        ("5.3", "5 5 5 5", "line 2: '5 5 5 5' are 4 scales"),
        ("Ar\n4", "Ar\n3", "line 12: '0.5 0.5 0' follows the last atom"),
        ("5.3", "0", "line 2: '0' is no scale"),
        ("5.3", "-1\n0 0 0\n0 0 0\n0 0 0", "lines 3 to 5: the lattice vectors span no volume"),
        ("0 1 0\n", "0 1\n", "line 4: '0 1' where 3 numbers are expected"),
        ("Ar\n4", "4", "line 6: 1 numbers of atoms, but 'Ar4' names no elements"),
        ("Ar\n4", "Ar Ne\n4", "line 7: 1 numbers of atoms, but 'Ar Ne' names no elements"),
        ("Ar\n4", "Ar\nfour", "line 7: 'four' are no numbers of atoms"),
        ("Ar\n4", "Ar\n999999999", "line 13: blank where the structure is not complete"),
        ("Ar\n4", "Qq\n4", "atom 0: 'Qq' is not a chemical symbol"),
        ("0.5 0.5 0\n\n 0 0 0\n", "", "line 11: the file ends here, too early"),
        ("0 0.5 0.5", "0 half 0.5", "line 10: '0 half 0.5' where 3 numbers"),
        ("Direct", "Selective\nDirect", "line 10: three flags T or F are expected"),
        ("Ar4", "charge=1, charge: 2", "charge: both 1 and 2 are stated"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(before, after, message):
    structure = only(ARGON.replace(before, after, 1))
    assert isinstance(structure, InputError)
    assert message in str(structure)


@pytest.mark.parametrize("name", ["charge=1 cell", "multiplicity 3, triplet", "a b;charge=2"])
def test_an_id_is_a_name_and_says_nothing_else(name):
    (frame,) = parse(ARGON.replace(ARGON.split("\n")[0], f'id="{name}" energy=1', 1))
    assert (frame.id, frame.structure.charge, frame.structure.multiplicity) == (name, 0, None)
    clinging = ARGON.replace(ARGON.split("\n")[0], "id=cell;charge=1", 1)
    assert parse(clinging)[0].structure.charge == 1


def test_an_empty_file_has_no_structure():
    assert parse("\n \n") == []
