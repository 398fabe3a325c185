"""Odd atoms: how many a structure has, beside what the structures of the training data had."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from app.atoms.oddities import LEAST_ATOMS, Oddity, oddities
from app.backends.findings import TOLD, Around

WORDS: Final[Mapping[Oddity, tuple[str, str]]] = {
    "free": ("without a neighbour within bond range", "lengths may be in another unit than Å"),
    "unsaturated": (
        "(carbon) whose neighbours leave room for another one",
        "hydrogens may be missing",
    ),
    "shared": (
        "(hydrogen) between two others that hold it both at a distance",
        "as in a transition state",
    ),
}
"""What atoms are, and what that may mean."""


class OddAtoms:
    """Those of one structure, or of parts of it: how many, and the first of them."""

    def __init__(self) -> None:
        self._counts: dict[Oddity, int] = dict.fromkeys(WORDS, 0)
        self._first: dict[Oddity, list[int]] = {name: [] for name in WORDS}

    def note(self, name: Oddity, count: int, atoms: Sequence[int]) -> None:
        """Note so many that are odd in one way.

        Args:
            name: of the way.
            count: how many more there are.
            atoms: of these, the first ones at least, by their numbers in the structure.
        """
        self._counts[name] += count
        self._first[name] = sorted([*self._first[name], *atoms])[:TOLD]

    def add(self, others: "OddAtoms") -> None:
        """Those of other parts of the structure."""
        for name, count in others._counts.items():
            self.note(name, count, others._first[name])

    def told(self, most: Mapping[Oddity, int], charge: int) -> Iterator[str]:
        """What there is more of than in the training data, in words.

        Args:
            most: how many of each sort the structures of the training data have; `oddities` of a
                card's `trained_on`.
            charge: of the structure.
        """
        for name, limit in most.items():
            count, first = self._counts[name], self._first[name]
            if count - abs(charge) * (name == "unsaturated") > limit:
                listed = ", ".join(map(str, first))
                listed += f" and {count - TOLD} more" if count > TOLD else ""
                what, meaning = WORDS[name]
                yield (
                    f"atom{'s' * (count > 1)} {listed} {what}, {count} in all; in 99.9 % of "
                    f"the training data at most {limit}: {meaning}"
                )


def odd_atoms(around: Around) -> Iterator[tuple[int, Oddity, list[int]]]:
    """Structures, in which way some of their atoms are odd, and which these are."""
    count = len(around.of_core.kind)
    neighbours = around.numbers[around.j]
    found = oddities(around.numbers[:count], around.i, neighbours, around.vectors, around.lengths)
    for name, odd in found.each().items():
        places = np.flatnonzero(odd & (around.sizes >= LEAST_ATOMS)[around.structure[:count]])
        starts = np.flatnonzero(np.diff(around.structure[places], prepend=-1))
        for own in np.split(places, starts[1:]) if len(places) else ():
            yield int(around.structure[own[0]]), name, around.atoms[own].tolist()
