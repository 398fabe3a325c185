"""Odd atoms: how many a structure has, beside what the structures of the training data had."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from app.atoms.oddities import LEAST_ATOMS, Oddity, oddities
from app.atoms.structure import Structure
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
    """Those of one structure.

    Args:
        most: how many of each sort the structures of the training data have; `oddities` of a
            card's `trained_on`.
        structure: what is asked about.
    """

    def __init__(self, most: Mapping[Oddity, int], structure: Structure) -> None:
        self._most, self._charge = most, abs(structure.charge)
        self._small = len(structure) < LEAST_ATOMS
        self._found: dict[Oddity, list[int]] = {name: [] for name in most}

    def look(self, around: Around) -> None:
        """Note those of a piece of the structure."""
        if self._small:
            return
        count = len(around.of_core.kind)
        neighbours = around.numbers[around.j]
        found = oddities(
            around.numbers[:count], around.i, neighbours, around.vectors, around.lengths
        )
        for name, odd in found.each().items():
            if name in self._found:
                self._found[name] += around.atoms[np.flatnonzero(odd)].tolist()

    def told(self) -> Iterator[str]:
        """What there is more of than in the training data, in words."""
        for name, atoms in self._found.items():
            count = len(atoms) - self._charge * (name == "unsaturated")
            if count > self._most[name]:
                listed = ", ".join(map(str, sorted(atoms)[:TOLD]))
                listed += f" and {len(atoms) - TOLD} more" if len(atoms) > TOLD else ""
                what, meaning = WORDS[name]
                yield (
                    f"atom{'s' * (len(atoms) > 1)} {listed} {what}, {len(atoms)} in all; in 99.9 % of "
                    f"the training data at most {self._most[name]}: {meaning}"
                )
