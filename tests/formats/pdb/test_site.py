import pytest

from app.errors import InvalidFormat
from app.formats.pdb.site import read_site
from tests.formats.pdb.lines import atom


def test_an_atom_is_read_with_all_that_its_line_says():
    site = read_site(
        atom(" N2 ", 1.5, location="B", occupancy="  0.40", element=" N", charge="1+"), 7
    )
    assert (site.name, site.location, site.residue) == ("N2", "B", ("LIG", "A", "1", ""))
    assert (site.position, site.occupancy) == ([1.5, 0.0, 0.0], 0.4)
    assert (site.element, site.charge) == ("N", 1)
    assert site.label == "line 7: N2 of LIG A1"


@pytest.mark.parametrize(
    ("text", "charge"), [("1+", 1), ("2-", -2), ("+1", 1), ("-2", -2), ("  ", None), ("0 ", 0)]
)
def test_charges(text, charge):
    assert read_site(atom(charge=text), 1).charge == charge


@pytest.mark.parametrize(
    ("name", "residue", "element"),
    [
        (" CA ", "ALA", "C"),
        ("CA  ", "CA", "Ca"),
        ("HG21", "VAL", "H"),
        ("1HB2", "ALA", "H"),
        (" HG ", "SER", "H"),
        ("CL1 ", "LIG", "Cl"),
        ("BR  ", "LIG", "Br"),
        ("FE  ", "HEM", "Fe"),
        ("OW  ", "HOH", "O"),
        (" O5'", "DA", "O"),
        (" D1 ", "DOD", "D"),
    ],
)
def test_elements_of_names_where_their_columns_are_blank(name, residue, element):
    assert read_site(atom(name, residue=residue, element="  "), 1).element == element


def test_elements_in_capitals():
    assert read_site(atom("CL1 ", element="CL"), 1).element == "Cl"


def test_columns_of_old_files_hold_no_element():
    line = atom(" CA ", element="  ").rstrip("\n")[:72] + "1ABC  12"
    assert read_site(line, 1).element == "C"
    assert read_site(line, 1).charge is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (atom().replace("   0.000", "   x.000", 1), "line 3: '   x.000' is no coordinate"),
        (atom()[:40], "line 3: '' is no coordinate"),
        (atom(occupancy="  much"), "line 3: 'much' is no occupancy"),
        (atom(charge="x+"), "line 3: 'x+' in columns 79-80 is no charge"),
        (atom("CA  ", element="  "), "line 3: 'CA  ' of LIG is Ca or C; write the element"),
        (atom("HG  ", element="  "), "line 3: 'HG  ' of LIG is Hg or H"),
        (atom("    ", element="  "), "line 3: '    ' is no name of an atom"),
    ],
)
def test_what_cannot_be_read_is_named(line, message):
    with pytest.raises(InvalidFormat) as caught:
        read_site(line, 3)
    assert message.replace("'   x.000'", "'x.000'") in str(caught.value)
