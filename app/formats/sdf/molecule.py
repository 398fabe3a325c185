"""Molecule: what the connection table of a molfile says, in either form."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from app.errors import InvalidFormat, InvalidStructure
from app.formats.doubts import Bonds
from app.formats.text import short

ORDERS = {1: 1.0, 2: 2.0, 3: 3.0, 4: 1.5}
"""Of bonds, by their type; others are those of queries and count 1."""


@dataclass(frozen=True, slots=True)
class Molecule:
    """What the connection table says.

    Attributes:
        symbols: (N) of the atoms.
        positions: (N, 3), Å.
        bonds: type, first and second atom, from 1, of each bond.
        charges: of those atoms that have one.
        radicals: multiplicities of those atoms that have one.
        isotopes: numbers, from 0, of the atoms with a stated mass.
    """

    symbols: Sequence[str]
    positions: Sequence[Sequence[float]]
    bonds: Sequence[tuple[int, int, int]]
    charges: Sequence[int] = field(default=())
    radicals: Sequence[int] = field(default=())
    isotopes: Sequence[int] = field(default=())

    def multiplicity(self) -> int | None:
        """That of its radical centre, or None where there is none.

        Raises:
            InvalidStructure: several radicals, of which the file does not say how they couple.
        """
        if len(self.radicals) > 1:
            raise InvalidStructure(
                f"{len(self.radicals)} radical centres; state the multiplicity in an extXYZ file instead"
            )
        return self.radicals[0] if self.radicals else None

    def known_bonds(self) -> Bonds | None:
        """Its bonds, or None where the file has none.

        Raises:
            InvalidStructure: a bond of an atom that is not there.
        """
        if not self.bonds:
            return None
        table = np.array(self.bonds, dtype=np.int64)
        pairs = table[:, 1:] - 1
        if pairs.min() < 0 or pairs.max() >= len(self.symbols):
            raise InvalidStructure(
                f"a bond of atom {int(pairs.max()) + 1}, but there are {len(self.symbols)} atoms"
            )
        return Bonds(pairs, np.array([ORDERS.get(kind, 1.0) for kind, _, _ in self.bonds]))


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
