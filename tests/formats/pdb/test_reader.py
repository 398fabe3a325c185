import ase.io
import numpy as np
import pytest
from ase.build import molecule

from app.atoms.structure import Structure
from app.errors import InvalidFormat, InvalidStructure
from app.formats.pdb import parse
from tests.formats.pdb.lines import CO, atom, cell


def only(text: str):
    (frame,) = parse(text)
    return frame.structure


def test_what_ase_writes_is_read(tmp_path):
    ethanol = molecule("CH3CH2OH")
    ase.io.write(tmp_path / "a.pdb", [ethanol, ethanol])
    first, second = parse((tmp_path / "a.pdb").read_text())
    for frame in (first, second):
        assert frame.structure.symbols == ethanol.get_chemical_symbols()
        np.testing.assert_allclose(frame.structure.positions, ethanol.positions, atol=5e-4)
        assert not frame.structure.pbc.any()
        assert frame.warnings == ()


def test_what_rdkit_writes_is_read():
    chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed")
    distances = pytest.importorskip("rdkit.Chem.rdDistGeom")
    made = chem.AddHs(chem.MolFromSmiles("C[NH3+]"))
    distances.EmbedMultipleConfs(made, 2, randomSeed=1)
    frames = list(parse(chem.MolToPDBBlock(made)))
    assert len(frames) == 2
    for frame, conformer in zip(frames, made.GetConformers(), strict=True):
        assert frame.structure.symbols == [atom.GetSymbol() for atom in made.GetAtoms()]
        assert frame.structure.charge == 1
        np.testing.assert_allclose(frame.structure.positions, conformer.GetPositions(), atol=5e-4)


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_the_placeholder_of_a_cell_is_none(edge):
    assert not only(cell(edge) + CO).cell.any()
    assert not only(cell(edge, "") + CO).pbc.any()


def test_a_cell_makes_a_crystal():
    structure = only(cell(15.0) + CO)
    np.testing.assert_allclose(structure.cell, 15 * np.eye(3), atol=1e-12)
    assert structure.pbc.all()


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        (
            cell(15.0, "P 21 21 21"),
            InvalidStructure,
            "line 1: space group P 21 21 21; the file holds",
        ),
        (cell(15.0, angles="  90.00  90.00 180.00"), InvalidFormat, "angles of"),
        (cell(15.0).replace("15.000", "large ", 1), InvalidFormat, "model 0, line 1: 'CRYST1"),
    ],
)
def test_cells_that_cannot_be_taken_are_refused(line, error, message):
    structure = only(line + CO)
    assert isinstance(structure, error)
    assert message in str(structure)


MODELS = "".join(f"MODEL     {n:4}\n{CO}CONECT    1    2\nENDMDL\n" for n in (1, 2, 3))


@pytest.mark.parametrize(
    "text",
    [MODELS, MODELS + "END\n", "REMARK\n" + MODELS + "CONECT    1    2\nEND\n", f"{CO}END\n" * 3],
)
def test_models_are_structures_and_nothing_else_is(text):
    frames = parse(text)
    assert [frame.structure.symbols for frame in frames] == [["C", "O"]] * 3


def test_a_bad_model_costs_only_itself():
    bad = MODELS.replace("1.128", "x.128", 2).replace("x.128", "1.128", 1)
    first, second, third = parse(bad)
    assert isinstance(first.structure, Structure)
    assert isinstance(third.structure, Structure)
    assert isinstance(second.structure, InvalidFormat)
    assert "model 1, line 8: 'x.128' is no coordinate" in str(second.structure)


def test_a_model_without_atoms_is_told():
    empty = only("MODEL        1\nENDMDL\n")
    assert isinstance(empty, InvalidStructure)
    assert "no atoms" in str(empty)


@pytest.mark.parametrize("text", ["", "REMARK nothing\nEND\n"])
def test_a_file_without_models_has_none(text):
    assert list(parse(text)) == []


def test_charges_sum_up():
    assert only(atom(charge="1+") + atom(" O1 ", 1.1, element=" O", charge="2-")).charge == -1


def test_alternate_locations_and_isotopes_carry_warnings():
    lines = atom(" O  ", element=" O") + atom(" H1 ", 1.0, element=" D")
    (frame,) = parse(lines + atom(" H1 ", 1.1, location="A") + atom(" H1 ", 1.2, location="B"))
    codes = [warning.code for warning in frame.warnings]
    assert codes[:2] == ["isotope_ignored", "alternate_location_dropped"]


def test_atoms_beyond_the_columns_of_their_numbers_are_read():
    lines = CO.replace("    1", "*****", 1).replace("    1", "A0000", 1)
    assert only(lines).symbols == ["C", "O"]


def test_a_second_cell_of_a_model_is_refused():
    structure = only(cell(15.0) + CO + cell(16.0))
    assert isinstance(structure, InvalidFormat)
    assert "model 0, line 4: 'CRYST1" in str(structure)
    assert only(cell(15.0) + cell(15.0) + CO).pbc.all()


def test_each_model_may_have_a_cell_of_its_own():
    frames = parse("".join(f"MODEL\n{cell(edge)}{CO}ENDMDL\n" for edge in (15.0, 16.0)))
    assert [frame.structure.cell[0, 0] for frame in frames] == pytest.approx([15, 16])
