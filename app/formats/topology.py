"""Topology: what a file says of a molecule besides its geometry, atom by atom and bond by bond."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from app.errors import InvalidStructure
from app.formats.doubts import Bonds

ORDERS = {1: 1.0, 2: 2.0, 3: 3.0, 4: 1.5}
"""Of bonds, by their kind; others are those of queries and count 1."""


class Bond(NamedTuple):
    """A bond.

    Attributes:
        kind: as in molfiles: 1, 2, 3, or 4 where aromatic.
        first: number of an atom, from 0.
        second: the same.
        stereo: as in V2000 molfiles (1 up, 6 down, 3 and 4 unknown), or 0.
    """

    kind: int
    first: int
    second: int
    stereo: int = 0


@dataclass(frozen=True, slots=True)
class Topology:
    """Bonds, and what single atoms are; all atoms are numbered from 0.

    Attributes:
        bonds: in the order of the file.
        charges: formal charges of those atoms that have one.
        radicals: multiplicities of those atoms that are radical centres.
        masses: mass numbers of those atoms of which an isotope is stated.
    """

    bonds: tuple[Bond, ...] = ()
    charges: Mapping[int, int] = field(default_factory=dict)
    radicals: Mapping[int, int] = field(default_factory=dict)
    masses: Mapping[int, int] = field(default_factory=dict)

    @property
    def charge(self) -> int:
        """Sum of the formal charges."""
        return sum(self.charges.values())

    def multiplicity(self) -> int | None:
        """That of its radical centre, or None where there is none.

        Raises:
            InvalidStructure: several radicals, of which nobody says how they couple.
        """
        if len(self.radicals) > 1:
            raise InvalidStructure(
                f"{len(self.radicals)} radical centres; state the multiplicity in an extXYZ file instead"
            )
        return next(iter(self.radicals.values()), None)

    def known_bonds(self, n_atoms: int) -> Bonds | None:
        """Its bonds as doubts are judged from, or None where there are none.

        Raises:
            InvalidStructure: a bond of an atom that is not there.
        """
        if not self.bonds:
            return None
        pairs = np.array([bond[1:3] for bond in self.bonds], dtype=np.int64)
        if pairs.min() < 0 or pairs.max() >= n_atoms:
            raise InvalidStructure(
                f"a bond of atom {int(pairs.max()) + 1}, but there are {n_atoms} atoms"
            )
        return Bonds(pairs, np.array([ORDERS.get(bond.kind, 1.0) for bond in self.bonds]))
