import numpy as np
import pytest

from app.atoms.elements import read_symbols
from app.errors import InvalidStructure


def test_symbols_become_numbers():
    np.testing.assert_array_equal(read_symbols(["H", "Og", "Si"]).numbers, [1, 118, 14])
    assert read_symbols([]).numbers.shape == (0,)
    assert read_symbols(["H"]).warnings == ()


def test_heavy_hydrogen_is_hydrogen_with_a_warning():
    numbers, warnings = read_symbols(["O", "D", "T"])
    np.testing.assert_array_equal(numbers, [8, 1, 1])
    (warning,) = warnings
    assert warning.code == "isotope_ignored"
    assert warning.message.startswith("atoms 1, 2:")


def test_a_warning_lists_few_atoms():
    (warning,) = read_symbols(["D"] * 1000).warnings
    assert warning.message.startswith("atoms 0, 1, 2, 3, 4, …:")


@pytest.mark.parametrize(
    ("symbol", "meant"), [("Q9", None), ("h", "H"), ("CL", "Cl"), ("", None), ("13C", None)]
)
def test_unknown_symbols_are_named_with_what_may_be_meant(symbol, meant):
    remedy = f"did you mean '{meant}'" if meant else "write symbols such as"
    told = f"atom 1: '{symbol}' is not a chemical symbol; {remedy}"
    with pytest.raises(InvalidStructure, match=told):
        read_symbols(["C", symbol, "Xx"])


@pytest.mark.parametrize(
    "symbol", ["X", "Xx", "xx", "Du", "Gh(C)", "Bq", "H-Bq", "@O", "*", "A", "Q", "L", "R#", "LP"]
)
def test_what_is_no_atom_is_refused_by_name(symbol):
    with pytest.raises(InvalidStructure) as caught:
        read_symbols(["C", symbol])
    assert f"atom 1: '{symbol}' is not a chemical symbol but a dummy, ghost or query atom" in str(
        caught.value
    )


def test_long_symbols_are_shortened():
    with pytest.raises(InvalidStructure) as caught:
        read_symbols(["Y" * 10_000])
    assert len(str(caught.value)) < 150
