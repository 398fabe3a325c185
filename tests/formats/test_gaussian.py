import numpy as np
import pytest

from app.errors import InputError
from app.formats.gaussian import parse

CATION = """%mem=1GB
#p gfn2 opt

a title

1 1
N 0.0 0.0 0.0
H 0.9 0.0 0.3
H(Iso=2) -0.5 0.8 0.3
1 -0.5 -0.8 0.3
H-Any-0.3 0 0.0 0.0 -1.0D0

"""


def only(text: str):
    (frame,) = parse(text)
    return frame.structure


def test_charge_multiplicity_and_atoms():
    (frame,) = parse(CATION)
    assert frame.id == "a title"
    assert frame.structure.symbols == ["N", "H", "H", "H", "H"]
    assert [warning.message[:8] for warning in frame.warnings] == ["atoms 2:"]
    assert (frame.structure.charge, frame.structure.multiplicity) == (1, 1)
    assert frame.structure.positions[4].tolist() == [0, 0, -1]


def test_units_of_the_route_are_honoured():
    bohr = only(CATION.replace("opt", "opt units=(au)"))
    np.testing.assert_allclose(bohr.positions, only(CATION).positions * 0.529177210903)


def test_fragments_and_commas():
    structure = only(CATION.replace("1 1\n", "-1,2,0,1,-1,2\n"))
    assert (structure.charge, structure.multiplicity) == (-1, 2)


def test_jobs_are_structures_and_a_bad_one_costs_only_itself():
    first, second = parse(CATION.replace("1 1\n", "one\n") + "--Link1--\n" + CATION)
    assert "line 6: 'one' where charge and multiplicity are expected" in str(first.structure)
    assert second.structure.charge == 1


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("#p", "p", "no Gaussian input: a route that begins with #"),
        (
            "H 0.9 0.0 0.3",
            "H 1 0.9",
            "line 8: 'H 1 0.9' is no atom with Cartesian coordinates; convert a Z-matrix",
        ),
        ("H 0.9 0.0 0.3", "Tv 9.0 0.0 0.0", "line 8: a periodic structure (Tv)"),
        ("H 0.9 0.0 0.3", "X 0.9 0.0 0.3", "atom 1: 'X' is not a chemical symbol but a dummy"),
        ("H 0.9 0.0 0.3", "H-Bq 0.9 0.0 0.3", "line 8: 'H-Bq 0.9 0.0 0.3' is no atom"),
        ("1 -0.5", "900 -0.5", "atom 3: '900' is not a chemical symbol"),
    ],
)
def test_what_cannot_be_read_is_named(before, after, message):
    structure = only(CATION.replace(before, after, 1))
    assert isinstance(structure, InputError)
    assert message in str(structure)


def test_an_empty_file_has_no_structure():
    assert list(parse("\n\n")) == []
