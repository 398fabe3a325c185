import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidStructure
from app.formats.stated import Stated, meaning, stated


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        ("", Stated()),
        ("Charge: -2", Stated(charge=-2)),
        ("total charge 1", Stated(charge=1)),
        ("net_charge: 1+", Stated(charge=1)),
        ("chrg -1, uhf 1", Stated(-1, 2)),
        ('{"charge": 1, "mult": 2}', Stated(1, 2)),
        ("charge (1) spin 3", Stated(1, 3)),
        ("charge=1;mult=3", Stated(1, 3)),
        ("q = −1", Stated(charge=-1)),
        ("O2, a Triplet", Stated(multiplicity=3)),
        ("2 unpaired electrons", Stated(multiplicity=3)),
        ("spin multiplicity: 2", Stated(multiplicity=2)),
        ("1 1", Stated()),
        ("partial charge 1, core charge 4", Stated()),
        ("charge density 5 of 3", Stated()),
        ("at 532 nm, forces in eV/bohr", Stated()),
        ("supercharge 3, discharge 4, quartz", Stated()),
        ("charge 1.5e", Stated()),
        ("NM sampling at 3 pm, E in a.u.", Stated()),
    ],
)
def test_words_of_a_text(free, expected):
    assert stated({}, free) == expected


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"charge": 1}, Stated(charge=1)),
        ({"charge": None, "Total_Charge": "2"}, Stated(charge=2)),
        ({"charge": -1.0, "netCharge": "-1"}, Stated(charge=-1)),
        ({"charge": "1e", "spin": "2"}, Stated(1, 2)),
        ({"molecular-charge": "2-"}, Stated(charge=-2)),
        ({"energy": "-5;charge=1", "id": "a|mult=2"}, Stated()),
        ({"2S+1": "4"}, Stated(multiplicity=4)),
        ({"n_unpaired": "1"}, Stated(multiplicity=2)),
        ({"name": "charge 3", "SMILES": "C=[N+]", "charge_std": "0.1"}, Stated()),
        ({"charges": "0.1 0.2", "partial_charge": "0.25", "values": object()}, Stated()),
        ({"total_spin": 0}, Stated()),
        ({"total_q": "1"}, Stated(charge=1)),
        ({"comment": "charge=1", "info": "multiplicity: 3"}, Stated(1, 3)),
        ({"magmom": "1.9998"}, Stated(multiplicity=3)),
        ({"total_magmom": "-2.0"}, Stated(multiplicity=3)),
        ({"magmom": "0.0"}, Stated()),
        ({"units": "nm"}, Stated(length=10.0)),
        ({"unit": "eV", "energy_unit": "Hartree"}, Stated()),
        ({"units": "kcal/mol"}, Stated()),
        ({"units": "eV/Å", "coordinates": "cartesian", "scaled": "F"}, Stated()),
    ],
)
def test_pairs(pairs, expected):
    assert stated(pairs) == expected


@pytest.mark.parametrize(
    ("pairs", "free", "message"),
    [
        ({"charge": "half"}, "", "charge: half; expected a whole number"),
        ({"q": "0.5"}, "", "q: 0.5; expected a whole number"),
        ({"charge": "nan"}, "", "expected a whole number"),
        ({"charge": "1", "total_charge": "2"}, "", "charge: both 1 and 2 are stated"),
        ({"charge": "1"}, "charge 2", "charge: both 1 and 2 are stated"),
        ({"multiplicity": "1"}, "triplet", "multiplicity: both 1 and 3 are stated"),
        ({"ligand_charge": "2"}, "", "ligand_charge: 2; if this is the total charge"),
        ({"charges": "1"}, "", "charges: 1; if this is the total charge"),
        ({"spins": "2"}, "", "spins: 2; write the multiplicity 2S"),
        ({"magmom": "0.4"}, "", "magmom: 0.4; expected a whole number"),
        ({"magmom": "inf"}, "", "magmom: inf; expected a whole number"),
        ({"total_spin": "1"}, "", "total_spin: 1; write the multiplicity 2S"),
        ({}, "in bohr", "names the unit 'bohr'"),
        ({}, "Coordinates in a.u. of", "names the unit 'a.u.'"),
        ({"coord_units": "furlong"}, "", "coord_units: furlong; units of length are"),
        ({"units": "nm", "length_unit": "bohr"}, "", "another unit is stated, too"),
        *(
            ({"units": unit}, "", f"units: {unit}; units of length are")
            for unit in ("fm", "mm", "inch", "foo", "fractional", "lattice")
        ),
        ({"coordinates": "fractional"}, "", "coordinates: fractional; write Cartesian"),
        ({"coords": "bohr"}, "", "coords: bohr; write Cartesian coordinates in Å"),
        ({"scaled": "T"}, "", "scaled: T; write Cartesian coordinates in Å"),
        ({"units": "Hartree, bohr"}, "", "units: Hartree, bohr; units of length are"),
    ],
)
def test_what_cannot_be_used_is_refused(pairs, free, message):
    with pytest.raises(InvalidStructure) as caught:
        stated(pairs, free)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("CHARGE", "charge"),
        ("formal charge", "charge"),
        ("charge_state", "charge"),
        ("spinMultiplicity", "multiplicity"),
        ("uhf", "unpaired"),
        ("coordUnit", "unit"),
        ("surcharge_fee", "unclear"),
        ("charges", "unclear"),
        ("total_q", "charge"),
        ("total_magmom", "moment"),
        ("spins", "spin"),
        ("initial_charges", None),
        ("recharged", "unclear"),
        ("id", None),
    ],
)
def test_meanings_of_keys(key, what):
    assert meaning(key) == what


def test_pairs_cling_to_values_without_quotes_alone():
    pairs = {"charge": "1;mult=3", "energy": "-5;q=1", "id": "a;charge=2"}
    assert stated(pairs, bare={"charge", "energy"}) == Stated(1, 3)
    with pytest.raises(InvalidStructure, match="charge: 1;mult=3; expected a whole number"):
        stated({"charge": "1;mult=3"})


@given(st.dictionaries(st.text(max_size=70), st.text(max_size=30)), st.text(max_size=200))
def test_any_text_says_something_or_is_refused(pairs, free):
    try:
        said = stated(pairs, free)
    except InvalidStructure:
        return
    assert isinstance(said, Stated)


@pytest.mark.parametrize(
    "text", ["charge" + " " * 200_000 + "x", "a_" * 100_000 + "charge", "charge 1" * 20_000]
)
def test_long_texts_take_no_longer_than_their_length(text):
    try:
        stated({"note": text}, text)
    except InvalidStructure:
        return
