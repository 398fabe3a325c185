from app.errors import InvalidFormat
from app.formats.notation import Smiles
from app.formats.smiles import parse

FILE = "SMILES name\n# a remark\nCC(=O)O acetic acid\n\nC\tmethane\nO\nC |^1:0|\n"


def test_a_molecule_a_line_with_its_name() -> None:
    acid, methane, water, extended = parse(FILE)
    assert (acid.structure, acid.id) == (Smiles("CC(=O)O"), "acetic acid")
    assert (methane.structure, methane.id) == (Smiles("C"), "methane")
    assert (water.structure, water.id) == (Smiles("O"), None)
    assert isinstance(extended.structure, InvalidFormat)
    assert "line 7: '|^1:0|': extensions of CXSMILES" in str(extended.structure)


def test_a_line_that_is_too_long_costs_itself() -> None:
    long, good = parse("C" * 2001 + "\nC\n")
    assert "line 1: a SMILES of 2001 characters" in str(long.structure)
    assert good.structure == Smiles("C")
