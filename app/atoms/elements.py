"""Elements by their symbols, one rule for all that is read: files, requests and texts."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers

from app.atoms.structure import Integers
from app.atoms.warnings import AnswerWarning
from app.errors import InvalidStructure

ISOTOPES = {"D": 1, "T": 1}
"""Atomic numbers of the isotopes that have a symbol of their own."""
PLACEHOLDER = re.compile(
    r"(?i) x{1,2}\d* | du(m(my)?)? | lp | \*+ | r\#?\d* | a | q | l | m | [aqxm]h | pol"
    r" | (h-)?bq.* | .*-bq | gh\W.* | ghost.* | .*\W?ghost\W? | @.+ | .+@ ",
    re.VERBOSE,
)
"""What programs write for points that are no atoms, and for atoms whose element is left open."""
NAMED = 5
"""Atoms that a warning lists."""


class Elements(NamedTuple):
    """What symbols mean.

    Attributes:
        numbers: (N,) atomic numbers.
        warnings: isotopes that are computed as their element.
    """

    numbers: Integers
    warnings: tuple[AnswerWarning, ...] = ()


def read_symbols(symbols: Sequence[str]) -> Elements:
    """The elements of chemical symbols. D and T are hydrogen, with a warning.

    Raises:
        InvalidStructure: naming the first atom whose symbol is unknown, or of a dummy, ghost or
            query atom.
    """
    try:
        numbers = np.array([atomic_numbers[symbol] for symbol in symbols], dtype=np.int64)
    except KeyError:
        return _unusual(symbols)
    if numbers.size and not numbers.min():
        return _unusual(symbols)
    return Elements(numbers)


def isotopes_ignored(atoms: Sequence[int]) -> AnswerWarning:
    """The warning that these atoms, numbered from 0, are isotopes that make no difference."""
    shown = ", ".join(map(str, atoms[:NAMED])) + (", …" if len(atoms) > NAMED else "")
    return AnswerWarning(
        "isotope_ignored", f"atoms {shown}: computed as the element, whatever the isotope"
    )


def _unusual(symbols: Sequence[str]) -> Elements:
    """The elements where a symbol is none of the 118."""
    known = atomic_numbers | ISOTOPES | {"X": 0}
    numbers = np.array([known.get(symbol, 0) for symbol in symbols], dtype=np.int64)
    if not numbers.min():
        atom = int(np.argmin(numbers))
        raise InvalidStructure(f"atom {atom}: {_fault(symbols[atom])}")
    heavy = [atom for atom, symbol in enumerate(symbols) if symbol in ISOTOPES]
    return Elements(numbers, (isotopes_ignored(heavy),))


def _fault(symbol: str) -> str:
    shown = symbol if len(symbol) <= 20 else symbol[:20] + "…"
    if PLACEHOLDER.fullmatch(symbol):
        return f"'{shown}' is not a chemical symbol but a dummy, ghost or query atom; remove it or name its element"
    usual = symbol.capitalize()
    meant = usual in atomic_numbers and usual != "X"
    remedy = f"did you mean '{usual}'?" if meant else "write symbols such as 'H', 'C' or 'Si'"
    return f"'{shown}' is not a chemical symbol; {remedy}"
