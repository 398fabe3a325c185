"""Molecule: what the connection table of a molfile says, in either form."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import InvalidFormat
from app.formats.text import short
from app.formats.topology import Topology


@dataclass(frozen=True, slots=True)
class Molecule:
    """What the connection table says.

    Attributes:
        symbols: (N) of the atoms.
        positions: (N, 3), Å.
        topology: bonds, charges, radicals and isotopes.
    """

    symbols: Sequence[str]
    positions: Sequence[Sequence[float]]
    topology: Topology


def whole(text: str, line: int, name: str) -> int:
    """A whole number of at most nine digits.

    Raises:
        InvalidFormat: it is none; names the line.
    """
    text = text.strip()
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 10):
        raise InvalidFormat(f"line {line}: '{short(text)}' is no {name}")
    return int(text)


def position(words: Sequence[str], line: int) -> list[float]:
    """Three coordinates, Å.

    Raises:
        InvalidFormat: no numbers; names the line.
    """
    try:
        if "_" in "".join(words):
            raise ValueError
        return [float(word) for word in words]
    except ValueError:
        raise InvalidFormat(f"line {line}: '{short(' '.join(words))}' are no coordinates") from None
