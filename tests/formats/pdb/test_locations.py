import pytest

from app.errors import InvalidStructure
from app.formats.pdb.locations import choose_locations
from app.formats.pdb.site import read_site
from tests.formats.pdb.lines import atom


def sites(*lines: str):
    return [read_site(line, number) for number, line in enumerate(lines, 1)]


def test_the_likeliest_location_of_each_residue_is_taken_with_a_warning():
    given = sites(
        atom(" C1 "),
        atom(" H1 ", location="A", occupancy="  0.30"),
        atom(" H1 ", location="B", occupancy="  0.70"),
        atom(" H2 ", location="A", occupancy="  0.50", number=2),
        atom(" H2 ", location="B", occupancy="  0.50", number=2),
    )
    kept, (warning,) = choose_locations(given)
    assert [(site.name, site.location) for site in kept] == [("C1", " "), ("H1", "B"), ("H2", "A")]
    assert warning.code == "alternate_location_dropped"
    assert "2 atoms of alternate locations dropped" in warning.message
    assert "line 3: H1 of LIG A1" in warning.message


@pytest.mark.parametrize("occupancy", ["      ", "  0.00"])
def test_occupancies_that_were_never_set_are_full(occupancy):
    given = sites(atom(occupancy=occupancy), atom(" C2 ", 2.0, occupancy=occupancy))
    assert choose_locations(given) == (given, ())


def test_thirds_are_full_together():
    given = sites(*(atom(location=letter, occupancy="  0.33") for letter in "ABC"))
    kept, _ = choose_locations(given)
    assert [site.location for site in kept] == ["A"]


@pytest.mark.parametrize(
    "lines",
    [
        (atom(), atom(" C2 ", occupancy="  0.50")),
        (atom(), atom(" C2 ", occupancy="  0.00")),
        (atom(), atom(" C2 ", location="A", occupancy="  0.50")),
        (atom(), *(atom(" C2 ", location=letter, occupancy="  0.40") for letter in "AB")),
    ],
)
def test_a_site_that_is_not_full_is_refused_by_name(lines):
    with pytest.raises(InvalidStructure, match=r"line 2: C2 of LIG A1: occupancy 0\.?[058]*;"):
        choose_locations(sites(*lines))
