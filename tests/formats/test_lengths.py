import pytest

from app.errors import InvalidStructure
from app.formats.extxyz import parse
from app.formats.lengths import BOHR
from app.formats.stated import Stated, stated


@pytest.mark.parametrize("unit", ["au", "a.u.", "a.u", "A.U.", "AU", "a0", "bohr", "atomic units"])
@pytest.mark.parametrize(
    "text",
    [
        *("units: {}", "unit: {}", "units {}", "unit in {}", "Units: '{}'", "units are {}"),
        *("water, units {}", "length units: {}", "units of length: {}", "coordinate unit: {}"),
        "ethanol (units: {})",
    ],
)
def test_units_that_a_text_names_are_refused(text, unit):
    with pytest.raises(InvalidStructure) as caught:
        stated({}, text.format(unit))
    assert f"names the unit '{unit}'" in str(caught.value)
    assert f"units={unit.split()[0].lower()} where all" in str(caught.value)


@pytest.mark.parametrize("unit", ["au", "a.u.", "AU", "A.U."])
@pytest.mark.parametrize(
    "text",
    [
        *("geometry in {}", "Coordinates ({})", "all positions are given in {} today", "molden {}"),
        *("[Atoms] {}", "xyz in {}", "structure, in {}", "coords: {}", "lengths {}"),
    ],
)
def test_atomic_units_of_what_has_a_length_are_refused(text, unit):
    with pytest.raises(InvalidStructure, match=f"names the unit '{unit}'"):
        stated({}, text.format(unit))


@pytest.mark.parametrize("text", ["a.u.", "water a.u.", "water (a.u.)", "in A.U."])
def test_atomic_units_of_nothing_are_refused_where_nothing_else_may_have_them(text):
    with pytest.raises(InvalidStructure, match="names the unit"):
        stated({}, text)
    assert stated({"E": "-76.4"}, "a.u.") == Stated()


@pytest.mark.parametrize("unit", ["furlong", "fm", "inch", "pc"])
def test_units_that_nobody_knows_are_refused_in_a_text_too(unit):
    with pytest.raises(InvalidStructure, match=f"the unit '{unit}'.* units=bohr, nm or pm where"):
        stated({}, f"units: {unit}")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Au",
            "gold (Au)",
            "CO on Au(111)",
            "structure of Au",
            "atoms Au 13",
            "Unit cell Au",
            "au",
        ),
        *("Aum", "beau.uni", "a.u.b", "Paula.u", "Tau.", "vacuum", "lattice Au", "all Au"),
        *("E in a.u.", "energy -76.4 a.u.", "-76.4 (a.u.)", "forces in a.u.", "SCF (a.u.): -1"),
        *(
            "units: Å",
            "units: angstrom",
            "Units: Ångström",
            "unit: A",
            "units eV",
            "units: kcal/mol",
        ),
        *("Units: eV/Angstrom", "Units: eV, Å", "units: metal", "units: real"),
        *("formula units: 4", "monomer unit: glycine", "asymmetric unit: 2 molecules", "unit: 3"),
        *("unit atomic volume", "unit cell: a", "atomic positions"),
    ],
)
def test_titles_that_name_no_unit_of_length_are_none(text):
    assert stated({}, text).length == 1.0


@pytest.mark.parametrize("comment", ["units=au", "units=a.u.", "unit=a.u.", 'units = "a.u."'])
def test_pairs_of_units_are_converted(comment):
    (frame,) = parse(f"2\n{comment}\nH 0 0 0\nH 0 0 1.4\n")
    assert frame.structure.positions[1, 2] == pytest.approx(1.4 * BOHR, abs=1e-15)


@pytest.mark.parametrize("comment", ["units: a.u.", "id=1 geometry in a.u.", 'comment="units: au"'])
def test_words_about_units_cost_their_frame(comment):
    (frame,) = parse(f"2\n{comment}\nH 0 0 0\nH 0 0 1.4\n")
    assert isinstance(frame.structure, InvalidStructure)
