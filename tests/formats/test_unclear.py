import pytest

from app.formats.extxyz import parse
from app.formats.stated import Stated, stated


def read(comment):
    (frame,) = parse(f"3\n{comment}\nO 0 0 0\nH 0 0.76 0.59\nH 0 -0.76 0.59\n")
    return frame


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((text, Stated(multiplicity=3)) for text in ("unpaired electrons: 2", "unpaired 2")),
        *(
            (text, Stated(multiplicity=3))
            for text in ("uhf 2", "unpaired electrons are 2", "uhf: 2")
        ),
        *((text, Stated(charge=-1)) for text in ("net charge is -1", "charge of -1", "q -1")),
        *((text, Stated(charge=1)) for text in ("charge state: 1", "q +1", "charge state +1")),
        *((text, Stated()) for text in ("q 1", "UHF/6-31G", "unpaired", "partial charge of 1")),
    ],
)
def test_clear_words_are_taken(text, said):
    assert stated({}, text) == said


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        *((f"{word}", word) for word in ("anion", "dication", "cationic", "+1 charge", "Z=-1")),
        *(
            (f"the {word} of x", word)
            for word in ("open shell", "open-shell", "high spin", "diradical")
        ),
        *((pair, pair) for pair in ("S=1", "S=0.5", "S=1/2", "Sz=1", "nelec=9", "electrons=9")),
        *((text, text) for text in ("spin 1/2", "S: 1", "electrons: 9", "9 electrons", "nelec 9")),
        ("energy=-3 anion", "anion"),
    ],
)
def test_unclear_words_are_told(comment, told):
    (warning,) = read(comment).warnings
    assert warning.code == "unclear_words"
    assert f"'{told}': not taken; this is the answer for charge 0 and no mult" in warning.message


@pytest.mark.parametrize(
    "comment",
    [
        *("charge=-2 anion", "dication, charge 2", "multiplicity=3 S=1", "open shell triplet"),
        *("nelec=10", "10 electrons", "charge=2 electrons=8", "S=0", "S=1.37", "Z=4", "z=0.3"),
        *(
            "ionic strength",
            "station",
            "uncharged",
            "closed shell",
            "a radicalization",
            "name='anion'",
        ),
        *("2 unpaired electrons", "electron density", ""),
    ],
)
def test_what_is_answered_for_or_no_such_word_is_not_told(comment):
    assert read(comment).warnings == ()
