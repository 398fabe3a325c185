"""What a text says of charge, spin and units, in the spellings that people use.

A model that cannot take a charge into account must refuse it, so none may be overlooked. What stands
as `key=value` is read by its key, what stands in free text (`Charge: 1`, `a triplet`) by its words.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from app.errors import InvalidStructure
from app.formats.lengths import LENGTHS, length_of, letters, refuse_units
from app.formats.text import short

Meaning: TypeAlias = Literal[
    "charge", "multiplicity", "unpaired", "moment", "spin", "unit", "scaled", "unclear"
]

KEYS: dict[Meaning, re.Pattern[str]] = {
    "charge": re.compile(
        r"(total|tot|net|overall|formal|molecular|molecule|mol|system|sys|ionic|ion|cluster|cell"
        r"|global|structure|pubchem)*(charge|chrg|chg)(total|tot|state)?|(tot|total|net)?q(tot|total)?"
    ),
    "multiplicity": re.compile(r"(total|electronic)*(spin)?(multiplicity|multip|mult)|spin|2s1"),
    "unpaired": re.compile(r"(n|no|nr|num|number)?(of)?unpaired(electrons?|spins?)?|uhf"),
    "moment": re.compile(r"(total|tot|net)?(magmom|magneticmoment)"),
    "spin": re.compile(r"totalspin|spinstate|spins"),
    "unit": re.compile(
        r"(length|distance|pos|positions?|coords?|coordinates?|geometry|xyz)?units?"
    ),
    "scaled": re.compile(
        r"(is)?(scaled|fractional|frac)(coords?|coordinates?|positions?)?"
        r"|(coords?|coordinates?|positions?)(type|system|mode|kind|format|style)?"
    ),
}
"""What keys mean, by their letters and digits in lower case; the key `spin` is 2S+1, as in OMol25,
while a total spin or spin state may be S, and other keys of a charge anything (`unclear`).
"""
PROSE = {"comment", "comments", "info", "remark", "remarks"}
"""Keys with a free text as their value, by their letters and digits in lower case."""
MOMENT_TOLERANCE = 0.01
"""Bohr magnetons; how far a calculated total moment may be from a whole number."""
LONGEST_KEY = 60
"""Characters; longer keys mean nothing."""
CLINGING = re.compile(r"[;,|](?=[^;,|]*[:=]|$)")
"""What ends a value where the next pair follows without a space."""
SCALED = {"fractional", "frac", "scaled", "direct", "crystal", "lattice", "reduced", "relative"}
"""Words for coordinates along the lattice vectors."""
TRUE = {"t", "true", "1", "yes"}

HINT = re.compile(
    r"(?i)ch(?:arge|rg|g)|(?<![a-z])q|mult|spin|2s\+1|unpaired|uhf|(?:sing|doub|trip)let"
    r"|(?:quar|quin|sex|sep)tet"
)
"""Found in every text that may say something; most do not have it."""
NUMBER = r"""["')\]]{0,2}(?: ?[:=(] ?| )["'(\[]{0,2}(?P<value>[-+−]?\d+(?:\.\d+)?[-+]?)(?![\w./])"""
FREE_CHARGE = re.compile(
    r"(?i)(?:(?<![a-z])(?P<of>[a-z]+)[ _-]+)?(?<![a-z])"
    r"(?:charge(?:[ _-]state)?|chrg|chg|q(?= ?[:=]| [-+−]\d))(?: (?:is|of|equals))?" + NUMBER
)
FREE_MULTIPLICITY = re.compile(r"(?i)(?<![a-z])(?:multiplicity|mult|spin)" + NUMBER)
FREE_UNPAIRED = re.compile(
    r"(?i)(?<![\w.])(?P<value>\d{1,9}) unpaired(?![a-z])"
    r"|(?<![a-z])(?:unpaired(?: electrons?| spins?)?|n_?unpaired|uhf)"
    r"(?: (?:is|are))?(?: ?[:=] ?| )(?P<behind>\d{1,9})(?![\w./])"
)
PARTIAL = {"partial", "mulliken", "nuclear", "core", "atomic", "point", "effective", "hirshfeld"}
"""Charges that are no total ones."""
WORDS = {
    "singlet": 1,
    "doublet": 2,
    "triplet": 3,
    "quartet": 4,
    "quintet": 5,
    "sextet": 6,
    "septet": 7,
}
FREE_WORD = re.compile(rf"(?i)(?<![a-z])({'|'.join(WORDS)})s?(?![a-z])")


class Stated(NamedTuple):
    """What a text says.

    Attributes:
        charge: total charge in elementary charges, or None.
        multiplicity: 2S+1, or None.
        length: Å in the unit of its lengths.
    """

    charge: int | None = None
    multiplicity: int | None = None
    length: float = 1.0


SILENT = Stated()


@lru_cache(maxsize=1024)
def meaning(key: str) -> Meaning | None:
    """What a key says of the structure, in whatever case and with whatever between its words."""
    bare = letters(key[: LONGEST_KEY + 1])
    known = next((name for name, pattern in KEYS.items() if pattern.fullmatch(bare)), None)
    return known or (
        "unclear" if bare == "charges" or ("charge" in bare and "charges" not in bare) else None
    )


def stated(pairs: Mapping[str, object], free: str = "", bare: Collection[str] = ()) -> Stated:
    """What pairs, and the text beside them, say of charge, spin and the unit of lengths.

    Args:
        pairs: values by key; those that are None say nothing.
        free: text that belongs to no key.
        bare: keys whose values stood without quotes, so that further pairs may cling to them, as in
            `charge=1;mult=2`. Elsewhere a value is a value, whatever it looks like.

    Raises:
        InvalidStructure: two values that contradict each other, or one that cannot be used.
    """
    found: dict[str, set[int]] = {}
    length, texts = 1.0, [free] if free else []
    for key, value in pairs.items():
        what = meaning(key) if len(key) <= LONGEST_KEY else None
        if what is None and not isinstance(value, str):
            continue
        head, rest = ("", str(value)) if is_prose(key) else _parted(str(value), key in bare)
        if rest:
            texts.append(rest)
        if what is None or value is None:
            continue
        if what == "unit":
            length = length_of(key, head, length, letters(key) in ("unit", "units"))
        elif what == "scaled":
            _refuse_scaled(key, head)
        elif (one := _quantity(what, key, head)) is not None:
            found.setdefault(one[0], set()).add(one[1])
    if texts:
        text = " ".join(" ".join(texts).split())
        refuse_units(text, is_whole=not pairs)
        for quantity, number in _mentions(text):
            found.setdefault(quantity, set()).add(number)
    if not found and length == 1.0:
        return SILENT
    return Stated(_only("charge", found), _only("multiplicity", found), length)


def _quantity(what: Meaning, key: str, value: str) -> tuple[str, int] | None:
    """Which quantity a pair states, and its value."""
    if what == "unclear":
        _refuse_unclear(key, value)
        return None
    if what == "moment":
        moment = abs(_whole(key, value, MOMENT_TOLERANCE))
        return ("multiplicity", moment + 1) if moment else None
    number = _whole(key, value)
    if what == "spin" and number:
        raise InvalidStructure(
            f"{key}: {number}; write the multiplicity 2S+1 as multiplicity=… instead"
        )
    if what == "unpaired":
        return "multiplicity", number + 1
    return None if what == "spin" else (what, number)


def _refuse_scaled(key: str, value: str) -> None:
    """Refuse coordinates that are no lengths in Å; `coordinates` may also be a remark."""
    word, names_them = letters(value, "å"), letters(key).startswith(("co", "pos"))
    if word in SCALED or (not names_them and word in TRUE) or LENGTHS.get(word, 1.0) != 1.0:
        raise InvalidStructure(
            f"{short(key)}: {short(value)}; write Cartesian coordinates in Å, or units=bohr, nm or pm "
            "where all lengths have it"
        )


def _parted(text: str, is_bare: bool) -> tuple[str, str]:
    """A value, and what follows it after a comma, semicolon or bar, as in `charge=1;mult=2`."""
    clings = is_bare and ("," in text or ";" in text or "|" in text)
    match = CLINGING.search(text) if clings else None
    return (text[: match.start()], text[match.end() :]) if match else (text, "")


def _refuse_unclear(key: str, value: str) -> None:
    """Refuse what may well be a total charge under a name that nobody knows."""
    try:
        number = float(value)
    except ValueError:
        return
    if number and number.is_integer():
        raise InvalidStructure(
            f"{short(key)}: {short(value)}; if this is the total charge, write charge=…, else leave "
            "it out"
        )


def _mentions(text: str) -> Iterator[tuple[str, int]]:
    """Quantities and values that words of a free text state; its spaces are single ones."""
    if not HINT.search(text):
        return
    for match in FREE_CHARGE.finditer(text):
        if (match["of"] or "").lower() not in PARTIAL:
            yield "charge", _whole("charge", match["value"])
    for match in FREE_MULTIPLICITY.finditer(text):
        yield "multiplicity", _whole("multiplicity", match["value"])
    for match in FREE_UNPAIRED.finditer(text):
        yield "multiplicity", int(match["value"] or match["behind"]) + 1
    for match in FREE_WORD.finditer(text):
        yield "multiplicity", WORDS[match[1].lower()]


def _only(quantity: str, found: Mapping[str, set[int]]) -> int | None:
    values = sorted(found.get(quantity, ()))
    if len(values) > 1:
        told = " and ".join(map(str, values[:3]))
        raise InvalidStructure(f"{quantity}: both {told} are stated; state one")
    return values[0] if values else None


def is_prose(key: str) -> bool:
    """Whether the value of a key is a free text."""
    return len(key) <= LONGEST_KEY and letters(key) in PROSE


def _whole(key: str, value: str, tolerance: float = 0.0) -> int:
    """A whole number, also with its sign behind it, a decimal point, or `e` for the unit.

    Raises:
        InvalidStructure: no whole number.
    """
    if value.isascii() and value.isdecimal() and len(value) < 16:
        return int(value)
    text = value.strip().strip("\"'()[]{} ").replace("−", "-")
    match = re.fullmatch(r"([-+]?)(\d{1,15})(?:\.0*)?\s*([-+]?)\s*(?:\|?e\|?)?([-+]?)", text)
    if match:
        signs = match[1] + match[3] + match[4]
        if len(signs) <= 1:
            return -int(match[2]) if signs == "-" else int(match[2])
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not (math.isfinite(number) and abs(number - round(number)) <= tolerance):
        raise InvalidStructure(f"{short(key)}: {short(value)}; expected a whole number")
    return round(number)
