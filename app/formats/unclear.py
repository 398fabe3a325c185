"""Words that may state a charge or a spin, and are too unclear to be taken: they become warnings."""

import re
from collections.abc import Iterator, Mapping

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.formats.lengths import letters
from app.formats.text import short

ELECTRONS = re.compile(r"(n|no|nr|num|number|total|tot)?(of)?(electrons?|elec|elect|el)")
TOTAL_SPIN = re.compile(r"s|sz|ms")
"""Keys, by their letters in lower case, of a number of electrons and of a spin."""
NUMBER = re.compile(r"\s*([-+]?\d{1,9}(?:\.\d{0,9})?)(?:/2)?\s*")
HINT = re.compile(r"(?i)ion|charge|shell|spin|radical|electrons|nelec|(?<![a-z])[zs]z?(?![a-z])")
"""Found in every text with such words; most do not have it."""
CHARGE = re.compile(
    r"(?i)(?<![a-z])((?:mono|di|tri|tetra|poly)?(?:an|cat)ion(?:s|ic)?"
    r"|(?:(?:singly|doubly|triply|positively|negatively)[ -])?charged|[-+]\d[ -]charge|Z ?[:=] ?[-+]\d+)"
    r"(?![a-z])"
)
SPIN = re.compile(
    r"(?i)(?<![a-z])(open[ -]?shell|high[ -]?spin|low[ -]?spin|(?:di|bi|tri)?radicals?"
    r"|S ?: ?\d[\d./]*|spin ?[:=]? ?\d+/2)(?![a-z])"
)
COUNT = re.compile(
    r"(?i)(?<![\w.])(\d{1,9})(?: |-)electrons?(?![a-z])"
    r"|(?<![a-z])(?<!unpaired )(?:n_?elect?(?:rons)?|electrons)(?: ?[:=] ?| )(\d{1,9})(?![\w.])"
)


def unclear_words(
    pairs: Mapping[str, str], free: str, structure: Structure
) -> tuple[AnswerWarning, ...]:
    """What of a text may state a charge or spin that the structure does not have.

    A structure that has a charge answers for words about charges, one that has a multiplicity for
    those about spin, and a number of electrons that is the structure's is none.

    Args:
        pairs: values by key.
        free: text that belongs to no key.
        structure: what was made of them.
    """
    found = [
        *([] if structure.charge else _of_charge(pairs, free)),
        *([] if structure.multiplicity is not None else _of_spin(pairs, free)),
        *_of_electrons(pairs, free, int(structure.numbers.sum()) - structure.charge),
    ]
    if not found:
        return ()
    words = ", ".join(f"'{short(word)}'" for word in dict.fromkeys(found[:5]))
    spin = structure.multiplicity
    state = "no multiplicity" if spin is None else f"multiplicity {spin}"
    return (
        AnswerWarning(
            "unclear_words",
            f"{words}: not taken; this is the answer for charge {structure.charge} and "
            f"{state}; write charge=… and multiplicity=… (2S+1)",
        ),
    )


def _of_charge(pairs: Mapping[str, str], free: str) -> Iterator[str]:
    signed = (k for k, v in pairs.items() if k in ("Z", "z") and re.fullmatch(r"[-+][1-9]\d?", v))
    yield from (f"{key}={pairs[key]}" for key in signed)
    if HINT.search(free):
        yield from (match[1] for match in CHARGE.finditer(free))


def _of_spin(pairs: Mapping[str, str], free: str) -> Iterator[str]:
    for key, value in pairs.items():
        number = (
            NUMBER.fullmatch(value) if len(key) < 9 and TOTAL_SPIN.fullmatch(letters(key)) else None
        )
        half = number and float(number[1]) * (1.0 if "/" in value else 2.0)
        if half and half.is_integer() and abs(half) <= 20:
            yield f"{key}={value}"
    if HINT.search(free):
        yield from (match[1] for match in SPIN.finditer(free))


def _of_electrons(pairs: Mapping[str, str], free: str, known: int) -> Iterator[str]:
    for key, value in pairs.items():
        number = (
            NUMBER.fullmatch(value) if len(key) < 30 and ELECTRONS.fullmatch(letters(key)) else None
        )
        if number and float(number[1]) not in (0.0, known):
            yield f"{key}={value}"
    if HINT.search(free):
        counts = ((match[0], match[1] or match[2]) for match in COUNT.finditer(free))
        yield from (text for text, count in counts if int(count) != known)
