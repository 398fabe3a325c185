"""Units of length, as keys and the words of a text name them."""

import re
from collections.abc import Iterator

from app.errors import InvalidStructure
from app.formats.text import short

BOHR, NANOMETER = 0.529177210903, 10.0
LENGTHS = {
    "å": 1.0,
    "a": 1.0,
    "ang": 1.0,
    "angs": 1.0,
    "angstrom": 1.0,
    "angstroms": 1.0,
    "ångström": 1.0,
    "ångstrom": 1.0,
    "bohr": BOHR,
    "bohrs": BOHR,
    "a0": BOHR,
    "au": BOHR,
    "atomic": BOHR,
    "atomicunits": BOHR,
    "nm": NANOMETER,
    "nanometer": NANOMETER,
    "nanometers": NANOMETER,
    "nanometre": NANOMETER,
    "nanometres": NANOMETER,
    "pm": 0.01,
    "picometer": 0.01,
    "picometers": 0.01,
}
"""Å in one unit of length, by its letters and digits in lower case."""
OTHER_UNITS = re.compile(
    r"(k|m)?(ev|hartrees?|ha|eh|ry|rydbergs?|cal|j|joules?|electronvolts?)"
    r"(mol|atom|particle|[aå]|[aå]ngstr[oö]ms?)?|k|cm1|metal|real"
)
"""Units of energy and force, and the sets of LAMMPS with Å, by their letters and digits in lower
case.
"""
HINT = re.compile(r"(?i)unit|bohr|(?<![a-z])(?:[np]m|a\.? ?u)(?![a-z])|nanomet|picomet")
"""Found in every text that names a unit."""
ATOMIC = r"a\. ?u\.?|au|A\. ?[uU]\.?|AU"
"""Atomic units, as no gold is written."""
FREE = re.compile(
    r"(?<![\w/.*^])(?<!\d )((?i:bohrs?|nanomet(?:er|re)s?|picomet(?:er|re)s?|atomic units)|nm|pm)"
    r"(?![\w/^])"
)
"""A unit that a text names, though not after a number or in a quotient."""
NAMED = re.compile(
    r"(?i)(?<![a-z])units?(?: of (?:lengths?|distances?|coordinates|positions))?['\"]?"
    r"(?: ?[:=] ?| (?:is |are |in )?)['\"(\[]?(a\. ?u\.?|au|a0|atomic)(?! ?[\w/^])"
)
"""Atomic units that a text calls its units."""
ABOUT_LENGTHS = re.compile(
    r"(?i:(?<![a-z])(?:geom(?:etry|etries)?|coord(?:inate)?s?|positions?|xyz|structures?|cartesians?"
    r"|lengths?|distances?|atoms|molden|lattice|cell|all|values|everything|numbers)"
    r"[^\w\s]{0,2} ?(?:(?:is|are|given|written|all|stated|expressed|here) ){0,2}(?:in )?)"
    rf"['\"(\[]?({ATOMIC})(?![\w/^])"
)
"""Atomic units of what has a length."""
STATED = re.compile(
    r"(?i)(?:^|[,;|({\[\"'.] ?|(?<![a-z])(?:lengths?|distances?|coord(?:inate)?s?|positions?|geometry"
    r"|xyz)[ _-]?)units?['\"]? ?: ?['\"(\[]?([^\W\d_][^\s,;|'\")}\]]*)"
)
"""A unit in a text that says it as a pair."""
LONE = re.compile(r"(?<![\w/.*^])(?<!\d )(?<!\d \()(a\. ?u\.|A\. ?U\.)(?![\w/^])")
OTHER_QUANTITY = re.compile(
    r"(?i)(?<![a-z])(?:e|e_?tot|e_?el\w{0,3}|energ(?:y|ies)|scf|hf|dft|gibbs|enthalpy|zpv?e|homo|lumo|gap"
    r"|forces?|grad|gradients?|hessian|freq\w{0,8}|dipoles?|polari\w{0,10}|charges?|mass(?:es)?|times?"
    r"|velocit\w{1,4}|moment\w{0,3}|field|density|total)(?![a-z])"
)
"""What else is given in atomic units."""


def length_of(key: str, value: str, known: float, is_general: bool) -> float:
    """Å in the unit that a pair names.

    Args:
        key: for messages.
        value: the unit.
        known: Å in the unit of the pairs before.
        is_general: whether the key may also name a unit of something else.

    Raises:
        InvalidStructure: no unit of length, or another one than before.
    """
    factor = LENGTHS.get(letters(value, "å"))
    if factor is not None:
        if known not in (1.0, factor):
            raise InvalidStructure(f"{key}: {short(value)}; another unit is stated, too")
        return factor
    other = is_general and OTHER_UNITS.fullmatch(letters(value, "åö"))
    if not other or FREE.search(value):
        raise InvalidStructure(
            f"{key}: {short(value)}; units of length are {', '.join(('Å', 'bohr', 'nm', 'pm'))}"
        )
    return known


def refuse_units(text: str, is_whole: bool) -> None:
    """Refuse a free text that names a unit of length other than Å.

    Args:
        text: its spaces are single ones.
        is_whole: whether it is all that is said, and no pairs stand beside it, whose unit `a.u.` may
            be, as in `E=-76.4 a.u.`.

    Raises:
        InvalidStructure: names the unit and the remedy.
    """
    if not HINT.search(text):
        return
    for unit in _units(text, is_whole):
        word = unit.split()[0].lower()
        remedy = (
            f"units={word} where all of them have it"
            if letters(unit) in LENGTHS
            else "units=bohr, nm or pm where all of them have it"
        )
        raise InvalidStructure(
            f"the text names the unit '{short(unit)}', and it is not clear of what; write lengths in Å, "
            f"or, in XYZ, {remedy}"
        )


def _units(text: str, is_whole: bool) -> Iterator[str]:
    """Units that may be those of lengths."""
    for pattern in (FREE, NAMED, ABOUT_LENGTHS):
        yield from (match[1] for match in pattern.finditer(text))
    for match in STATED.finditer(text):
        bare = letters(match[1], "åö")
        if LENGTHS.get(bare) != 1.0 and not OTHER_UNITS.fullmatch(bare):
            yield match[1]
    if is_whole and not OTHER_QUANTITY.search(text):
        yield from (match[1] for match in LONE.finditer(text))


def letters(text: str, also: str = "") -> str:
    """Letters and digits in lower case, and no others but those of `also`."""
    return re.sub(rf"[^a-z0-9{also}]", "", text.lower())
