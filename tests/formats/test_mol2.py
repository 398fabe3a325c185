import numpy as np
import pytest

from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.frame import Frame
from app.formats.mol2 import parse

ACETATE = """# made up
@<TRIPOS>MOLECULE
acetate
 7 6 1 0 0
SMALL
USER_CHARGES

@<TRIPOS>ATOM
      1 C1   -0.0100   0.0200   0.0000 C.3   1 ACE  -0.1000
      2 C2    1.5100   0.0000   0.0000 C.2   1 ACE   0.6000
      3 O1    2.1200   1.1000   0.0300 O.co2 1 ACE  -0.8000
      4 O2    2.1300  -1.1000  -0.0300 O.co2 1 ACE  -0.8000
      5 H1   -0.4000   1.0300   0.0100 H     1 ACE   0.0333
      6 H2   -0.3900  -0.5000   0.8900 H     1 ACE   0.0333
      7 H3   -0.3900  -0.5100  -0.8900 H     1 ACE   0.0334
@<TRIPOS>BOND
 1 1 2 1
 2 2 3 ar
 3 2 4 ar
 4 1 5 1
 5 1 6 1
 6 1 7 1
"""


def only(text: str) -> Frame:
    (frame,) = parse(text)
    return frame


def refusal(text: str) -> InputError:
    error = only(text).structure
    assert isinstance(error, InputError)
    return error


def test_all_molecules_are_read_with_names_bonds_and_charges() -> None:
    first, second = parse(ACETATE + ACETATE.replace("acetate", "other").replace("\n", "\n"))
    assert [first.id, second.id] == ["acetate", "other"]
    assert first.structure.symbols == ["C", "C", "O", "O", "H", "H", "H"]
    assert first.structure.charge == -1
    assert first.structure.positions[2].tolist() == [2.12, 1.1, 0.03]
    assert [bond.kind for bond in first.topology.bonds] == [1, 4, 4, 1, 1, 1]
    assert first.topology.bonds[0][1:3] == (0, 1)


def test_rdkit_reads_it_alike() -> None:
    chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed")
    molecule = chem.MolFromMol2Block(ACETATE, removeHs=False)
    frame = only(ACETATE)
    assert [atom.GetSymbol() for atom in molecule.GetAtoms()] == frame.structure.symbols
    positions = molecule.GetConformer().GetPositions()
    np.testing.assert_allclose(positions, frame.structure.positions, atol=1e-9)
    assert chem.GetFormalCharge(molecule) == frame.structure.charge


def test_without_charges_none_is_computed_and_formal_ones_count() -> None:
    silent = ACETATE.replace("USER_CHARGES", "NO_CHARGES")
    assert only(silent).structure.charge == 0
    formal = "@<TRIPOS>UNITY_ATOM_ATTR\n4 1\ncharge -1\n"
    assert only(silent + formal).structure.charge == -1
    assert only(silent + formal).topology.charges == {3: -1}
    assert only(ACETATE + formal).structure.charge == -1
    assert "-2 and -1" in str(refusal(ACETATE + formal.replace("-1", "-2")))


def test_partial_charges_that_add_up_to_no_whole_number_say_nothing() -> None:
    assert only(ACETATE.replace("0.6000", "0.2000")).structure.charge == 0


def test_cells() -> None:
    crystal = only(ACETATE + "@<TRIPOS>CRYSIN\n8.0 9.0 10.0 90 90 90 1 1\n").structure
    assert crystal.pbc.all()
    np.testing.assert_allclose(np.diag(crystal.cell), [8, 9, 10])
    error = refusal(ACETATE + "@<TRIPOS>CRYSIN\n8.0 9.0 10.0 90 90 90 14 1\n")
    assert isinstance(error, InvalidStructure)
    assert "space group 14" in str(error)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (" 7 6 1", " 8 6 1", "line 4: '8' atoms announced, but 7 are there"),
        (" 7 6 1", " 7 5 1", "line 4: '5' bonds announced, but 6 are there"),
        ("2.1200   1.1000", "2.1200   x", "line 11: '2.1200 x 0.0300' are no numbers"),
        ("C.3", "Du", "dummy"),
        ("C.3", "Xy.3", "'Xy'"),
        (" 2 2 3 ar", " 2 2 9 ar", "line 18: '2 2 9 ar' is no bond"),
        (" 2 2 3 ar", " 2 2 3 ??", "line 18: '2 2 3 ??' is no bond"),
        ("O.co2 1 ACE  -0.8000\n      4", "\n      4", "line 11"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, told: str) -> None:
    bad, good = parse(ACETATE.replace(old, new, 1) + ACETATE)
    assert isinstance(bad.structure, InputError)
    assert told in str(bad.structure)
    assert good.structure.charge == -1


def test_a_molecule_without_anything_is_an_error() -> None:
    assert isinstance(refusal("@<TRIPOS>MOLECULE\n"), InvalidFormat)
    assert not list(parse("nothing\n"))
