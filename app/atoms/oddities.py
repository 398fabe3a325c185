"""Oddities: atoms that a sound molecule does not have, or few of.

Each is harmless alone, and training data have some; many in one structure tell that hydrogens are
missing, that lengths are in another unit, or that it is a transition state. Trainer and service count
them alike.
"""

from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from ase.data import covalent_radii

from app.atoms.structure import Booleans, Floats, Integers
from app.atoms.surroundings import BOND_RANGE

HELD, SHARED = 1.18, 1.35
"""Times the sum of two radii: a hydrogen is held by what is closer than the first, and shared by two
atoms that are between both."""
PYRAMIDAL, BENT = 340.0, 140.0
"""Degrees: below this sum of its angles a carbon with three neighbours has room for a fourth, and
below this angle one with two for a third."""
ANGLES: Final = ((2, BENT, ([0], [1])), (3, PYRAMIDAL, ([0, 0, 1], [1, 2, 2])))
"""Neighbours of a carbon, the least sum of its angles, and between which two each of these is."""
ENDS: Final = (6, 7, 8, 16)
"""Elements that may be the only neighbour of a carbon: C≡C, C≡N, C≡O, C≡S."""
IS_END: Final = np.isin(np.arange(len(covalent_radii)), ENDS)


LEAST_ATOMS = 3
"""Smaller structures have no oddities: pairs of atoms are pulled apart on purpose."""

Oddity: TypeAlias = Literal["free", "unsaturated", "shared"]


class Oddities(NamedTuple):
    """Which of N atoms are odd.

    Attributes:
        free: (N,) without a neighbour within bond range.
        unsaturated: (N,) carbons whose neighbours leave room for another one.
        shared: (N,) hydrogens between two atoms that hold neither.
    """

    free: Booleans
    unsaturated: Booleans
    shared: Booleans

    def each(self) -> dict[Oddity, Booleans]:
        """By name."""
        return {"free": self.free, "unsaturated": self.unsaturated, "shared": self.shared}


def oddities(
    numbers: Integers, centre: Integers, neighbour: Integers, vectors: Floats, lengths: Floats
) -> Oddities:
    """Which atoms are odd.

    Args:
        numbers: (N,) atomic numbers.
        centre: (E,) which atom each edge begins at, sorted.
        neighbour: (E,) atomic number of what it ends at.
        vectors: (E, 3), Å, from the centre to the neighbour.
        lengths: (E,), Å.
    """
    ratio = lengths / (covalent_radii[numbers[centre]] + covalent_radii[neighbour])
    near = np.flatnonzero(ratio < BOND_RANGE)
    bonds = np.bincount(centre[near], minlength=len(numbers))
    free = bonds == 0
    unsaturated = (numbers == 6) & free
    carbon = near[numbers[centre[near]] == 6]
    count = bonds[centre[carbon]]
    ends = carbon[count == 1]
    unsaturated[centre[ends[~IS_END[neighbour[ends]]]]] = True
    for degree, limit, (first, second) in ANGLES:
        edges = carbon[count == degree].reshape(-1, degree)
        if len(edges):
            units = vectors[edges] / lengths[edges][..., None]
            cosines = np.einsum("npx,npx->np", units[:, first], units[:, second])
            angles = np.degrees(np.arccos(np.clip(cosines, -1, 1))).sum(axis=1)
            unsaturated[centre[edges[angles < limit, 0]]] = True
    of_hydrogen = numbers[centre] == 1
    held = np.bincount(centre[of_hydrogen & (ratio < HELD)], minlength=len(numbers))
    within = np.bincount(centre[of_hydrogen & (ratio < SHARED)], minlength=len(numbers))
    return Oddities(free, unsaturated, (held == 0) & (within > 1))
