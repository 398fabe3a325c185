import ase.io
import numpy as np
import pytest
from ase.build import molecule

from app.atoms.structure import Structure
from app.errors import InvalidFormat, InvalidStructure
from app.formats.files import read_structures
from app.formats.sdf import parse

WATER = """water
  made up           3D

  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.1173 O   0  0  0  0  0  0  0  0  0  0  0  0
    0.0000    0.7572   -0.4692 H   0  0  0  0  0  0  0  0  0  0  0  0
    0.0000   -0.7572   -0.4692 H   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
  1  3  1  0
M  END
> <note>
1.0

$$$$
"""
HYDROXIDE = """
  made up           3D

  2  1  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 O   0  5  0  0  0  0  0  0  0  0  0  0
    0.0000    0.0000    0.9700 H   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
M  END
$$$$
"""


def only(text: str):
    (frame,) = parse(text)
    return frame.structure


def test_all_molecules_are_read_with_their_titles():
    first, second, third = parse(WATER + HYDROXIDE + WATER.replace("$$$$\n", ""))
    assert [first.id, second.id, third.id] == ["water", None, "water"]
    assert first.structure.symbols == ["O", "H", "H"]
    assert first.structure.positions[1].tolist() == [0.0, 0.7572, -0.4692]
    assert first.structure.charge == 0
    assert first.structure.multiplicity is None


def test_what_ase_reads_is_read_alike(tmp_path):
    path = tmp_path / "water.sdf"
    path.write_text(WATER)
    (frame,) = read_structures(path)
    atoms = ase.io.read(path)
    np.testing.assert_array_equal(frame.structure.numbers, atoms.numbers)
    np.testing.assert_array_equal(frame.structure.positions, atoms.positions)
    assert len(molecule("H2O")) == len(frame.structure)


def test_charges_of_the_atom_block_and_of_property_lines():
    assert only(HYDROXIDE).charge == -1
    listed = HYDROXIDE.replace("M  END", "M  CHG  2   1  -1   2   2\nM  END")
    assert only(listed).charge == 1


def test_radicals_have_a_multiplicity():
    radical = WATER.replace("M  END", "M  RAD  1   1   2\nM  END")
    assert only(radical).multiplicity == 2
    in_atom_block = HYDROXIDE.replace("O   0  5", "O   0  4")
    assert (only(in_atom_block).charge, only(in_atom_block).multiplicity) == (0, 2)
    several = only(WATER.replace("M  END", "M  RAD  2   1   2   2   2\nM  END"))
    assert isinstance(several, InvalidStructure)
    assert "2 radical centres" in str(several)


def test_a_sketch_is_refused_in_its_place():
    sketch, sound = parse(WATER.replace("3D\n", "2D\n", 1) + WATER)
    assert isinstance(sketch.structure, InvalidStructure)
    assert "2D sketch" in str(sketch.structure)
    assert isinstance(sound.structure, Structure)


EMPTY_V3000 = """pair
  made up           3D

  0  0  0     0  0            999 V3000
M  V30 BEGIN CTAB
M  V30 COUNTS 2 1 0 0 0
M  V30 BEGIN ATOM
M  V30 7 N 0 0 0 0 CHG=1
M  V30 9 O 1.1 0 0 0
M  V30 END ATOM
M  V30 BEGIN BOND
M  V30 1 2 7 9
M  V30 END BOND
M  V30 END CTAB
M  END
$$$$
"""


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (WATER.replace("V2000", "V4000"), "molecule 1, line 15: no molfile: the fourth line"),
        ("one line\n$$$$\n", "molecule 1, line 15: no molfile: the fourth line, here 'one line'"),
        ("$$$$\n", "molecule 1, line 15: the record is empty"),
        (WATER.replace("  3  2", "  x  2"), "molecule 1, line 18: 'x' is no count"),
        (
            WATER.replace("  3  2", "1200  "),
            "line 18: '1200    0  0' are no counts of three columns",
        ),
        (WATER.replace("  3  2", " 99  2"), "99 atoms and 2 bonds announced, but only 9 lines"),
        (WATER.replace("  3  2", "  2  2"), "line 23: '1  3  1  0' where lines of properties"),
        (WATER.replace("  3  2", "  2  2"), "check the counts of atoms and bonds"),
        (WATER.replace("0.7572", "  east", 1), "molecule 1, line 20: '0.0000       east"),
        (WATER.replace("M  END\n", ""), "line 24: '> <note>' where lines of properties"),
        (WATER.replace("M  END", "M  CHG  2   1  -1\nM  END"), "does not hold as many pairs"),
        (WATER.replace("M  END", "M  CHG  1   1   x\nM  END"), "line 24: 'x' is no whole number"),
        (WATER.replace("O   0  0", "O   0  9"), "line 19: charge code '9' in the atom block"),
        (EMPTY_V3000.replace("COUNTS 2", "COUNTS 3"), "3 atoms announced, but 2 are there"),
        (EMPTY_V3000.replace("M  END\n", ""), "no line 'M  END'"),
        (EMPTY_V3000.replace("O 1.1 0 0 0", "O 1.1"), "line 23: '9 O 1.1' has 3 words"),
        (EMPTY_V3000.replace("1 2 7 9", "1 2 7 8"), "line 26: a bond of an atom that is not there"),
        (EMPTY_V3000.replace("CHG=1", "CHG=one"), "line 22: 'one' is no CHG"),
        (EMPTY_V3000.replace("M  V30 COUNTS 2 1 0 0 0\n", ""), "no line 'M  V30 COUNTS'"),
    ],
)
def test_a_malformed_record_costs_only_itself(wrong, message):
    first, bad, last = parse(WATER + wrong + WATER)
    assert isinstance(first.structure, Structure)
    assert isinstance(last.structure, Structure)
    assert isinstance(bad.structure, InvalidFormat)
    assert message in str(bad.structure)


def test_blank_lines_before_a_title_are_left_out():
    first, second = parse(WATER + "\n\n" + WATER + "\n\n")
    assert second.id == "water"
    np.testing.assert_array_equal(first.structure.positions, second.structure.positions)


def test_lines_end_with_line_feeds_alone():
    (frame,) = parse(WATER.replace("water", "wa\x85t\u2028er"))
    assert frame.id == "wa\x85t\u2028er"
    assert frame.structure.symbols == ["O", "H", "H"]


def test_properties_behind_the_end_of_the_table_are_another_s():
    field = "> <PARENT_MOLBLOCK>\nM  CHG  1   1   1\nM  ISO  1   1  18\nM  END\n\n"
    (frame,) = parse(WATER.replace("> <note>", field + "> <note>"))
    assert frame.structure.charge == 0
    assert frame.warnings == ()


def test_v3000_is_read():
    (frame,) = parse(EMPTY_V3000)
    assert frame.id == "pair"
    assert frame.structure.symbols == ["N", "O"]
    assert frame.structure.charge == 1
    assert frame.structure.positions.tolist() == [[0, 0, 0], [1.1, 0, 0]]
    split = EMPTY_V3000.replace("M  V30 9 O 1.1", "M  V30 9 O -\nM  V30 1.1")
    np.testing.assert_array_equal(only(split).positions, frame.structure.positions)
    radical = only(EMPTY_V3000.replace("CHG=1", "RAD=2"))
    assert (radical.charge, radical.multiplicity) == (0, 2)


@pytest.mark.parametrize(
    "text",
    [
        WATER.replace(" H   0", " D   0", 1),
        WATER.replace("M  END", "M  ISO  1   2   2\nM  END"),
        WATER.replace(" H   0", " H   1", 1),
        EMPTY_V3000.replace("CHG=1", "MASS=15"),
    ],
)
def test_isotopes_carry_a_warning(text):
    (frame,) = parse(text)
    assert [warning.code for warning in frame.warnings] == ["isotope_ignored"]


@pytest.mark.parametrize("symbol", ["A ", "Q ", "* ", "R#", "X ", "Du"])
def test_query_atoms_are_refused_by_name(symbol):
    structure = only(WATER.replace(" O  ", f" {symbol} ", 1))
    assert isinstance(structure, InvalidStructure)
    assert f"'{symbol.strip()}' is not a chemical symbol but a dummy, ghost or query atom" in str(
        structure
    )


@pytest.mark.parametrize(
    ("field", "charge", "multiplicity"),
    [
        ("> <PUBCHEM_TOTAL_CHARGE>\n-1", -1, None),
        (">  1  <multiplicity> (2)\n1", -1, 1),
        ("> <PARTIAL_CHARGES>\n1 -0.5", -1, None),
    ],
)
def test_fields_that_say_the_same_as_the_atoms(field, charge, multiplicity):
    structure = only(HYDROXIDE.replace("M  END", f"M  END\n{field}\n"))
    assert (structure.charge, structure.multiplicity) == (charge, multiplicity)


@pytest.mark.parametrize(
    "text",
    [
        WATER.replace("> <note>\n1.0", "> <total charge>\n1"),
        WATER.replace("3D\n\n", "3D\ncharge=1\n"),
        WATER.replace("> <note>\n1.0", "> <multiplicity>\n3").replace(
            "M  END", "M  RAD  1   1   2\nM  END"
        ),
    ],
)
def test_fields_that_deny_the_atoms_are_refused(text):
    structure = only(text)
    assert isinstance(structure, InvalidStructure)
    assert "mend one of them" in str(structure)


SKELETON = """
  made up         {dimension}

  3  2  0  0  0  0  0  0  0  0999 V2000
   -0.8544    0.2235{z} C   0  0  0  0  0  0  0  0  0  0  0  0
    0.3871   -0.3585    0.0000 C   0  0  0  0  0  0  0  0  0  0  0  0
    1.5316    0.3843    0.0000 O   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
  2  3  1  0
M  END
"""


@pytest.mark.parametrize(
    ("z", "dimension", "codes"),
    [
        ("    0.2400", "  3D", ["hydrogens_missing"]),
        ("    0.2400", "", ["hydrogens_missing"]),
        ("    0.0000", "  3D", ["hydrogens_missing"]),
    ],
)
def test_missing_hydrogens_carry_a_warning(z, dimension, codes):
    (frame,) = parse(SKELETON.format(z=z, dimension=dimension))
    assert [warning.code for warning in frame.warnings] == codes


def test_a_flat_sketch_whose_header_says_nothing_carries_a_warning():
    lines = WATER.splitlines()
    ring = [(0.75, 1.3), (1.5, 0.0), (0.75, -1.3), (-0.75, -1.3), (-1.5, 0.0), (-0.75, 1.3)]
    atoms = [f"{x:10.4f}{y:10.4f}    0.0000 C   0  0  0  0" for x, y in ring]
    bonds = [f"{n + 1:3}{(n + 1) % 6 + 1:3}{1 + n % 2:3}  0" for n in range(6)]
    text = ["ring", "  made up", "", "  6  6" + lines[3][6:], *atoms, *bonds, "M  END"]
    (frame,) = parse("\n".join(text))
    assert [warning.code for warning in frame.warnings] == ["hydrogens_missing", "flat_sketch"]


def test_a_molecule_without_bonds_is_read():
    lines = [line for line in WATER.splitlines(True) if not line.startswith(("  1  2", "  1  3"))]
    (frame,) = parse("".join(lines).replace("  3  2  0", "  3  0  0"))
    assert frame.structure.symbols == ["O", "H", "H"]


def test_a_line_that_is_too_long_costs_only_its_molecule():
    bad, good = parse(WATER.replace("> <note>", ">" + "<" * 100_000) + WATER)
    assert "molecule 0, line 11: 100001 characters" in str(bad.structure)
    assert isinstance(good.structure, Structure)


@pytest.mark.parametrize("name", ["CHG", "RAD", "ISO"])
@pytest.mark.parametrize("place", [0, 4])
def test_properties_of_atoms_that_are_not_there_cost_only_their_molecule(name, place):
    line = f"M  {name}  1 {place:3}   1"
    bad, good = parse(WATER.replace("M  END", f"{line}\nM  END") + WATER)
    assert isinstance(bad.structure, InvalidFormat)
    assert f"names atom {place}, but there are 3 atoms" in str(bad.structure)
    assert isinstance(good.structure, Structure)


@pytest.mark.parametrize("is_v3000", [False, True])
def test_what_rdkit_writes_is_read(is_v3000):
    chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed")
    distances = pytest.importorskip("rdkit.Chem.rdDistGeom")
    molecule = chem.AddHs(chem.MolFromSmiles("C[NH2+]C([2H])C(=O)[O-]"))
    distances.EmbedMolecule(molecule, randomSeed=1)
    molecule.SetProp("_Name", "zwitterion")
    text = chem.MolToMolBlock(molecule, forceV3000=is_v3000, kekulize=True)
    assert ("V3000" in text) == is_v3000
    (frame,) = parse(text)
    assert (frame.id, frame.structure.charge) == ("zwitterion", 0)
    assert frame.structure.symbols == [atom.GetSymbol() for atom in molecule.GetAtoms()]
    positions = molecule.GetConformer().GetPositions()
    np.testing.assert_allclose(frame.structure.positions, positions, atol=1e-4)
    charges = {a.GetIdx(): a.GetFormalCharge() for a in molecule.GetAtoms() if a.GetFormalCharge()}
    assert frame.topology.charges == charges
    bonds = {(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()}
    assert {(bond.first, bond.second) for bond in frame.topology.bonds} == bonds
    assert [warning.code for warning in frame.warnings] == ["isotope_ignored"]
