"""Surroundings: how many neighbours atoms have within bond range, and how long their bonds are.

Radii: Cordero et al., Dalton Trans., 2832 (2008), as ASE has them. Trainer and service judge by the
same numbers, so that what one has seen the other knows again.
"""

import re
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii

from app.atoms.structure import Floats, Integers

BOND_RANGE = 1.25
"""Times the sum of two radii; closer atoms are neighbours within bond range."""
MOST = 1 << 20
"""More neighbours than any atom has."""
_NAME = re.compile(r"([A-Z][a-z]?)X(\d{1,5})H(\d{1,5})")


class Surroundings(NamedTuple):
    """What is around each of N atoms.

    Attributes:
        kind: (N,) a number for element, neighbours within bond range, and hydrogens among them.
        stretch: (N,) mean over those neighbours of the distance over the sum of the two radii; 0
            where there are none.
        nearest: (N,), Å, distance of the nearest of all neighbours; infinite where there are none.
    """

    kind: Integers
    stretch: Floats
    nearest: Floats


def surroundings(
    numbers: Integers, centre: Integers, neighbour: Integers, lengths: Floats
) -> Surroundings:
    """What is around each atom.

    Args:
        numbers: (N,) atomic numbers.
        centre: (E,) which atom each edge begins at, sorted.
        neighbour: (E,) atomic number of what it ends at.
        lengths: (E,), Å.
    """
    count = len(numbers)
    ratio = lengths / (covalent_radii[numbers[centre]] + covalent_radii[neighbour])
    near = ratio < BOND_RANGE
    own, ratio = centre[near], ratio[near]
    bonds = np.bincount(own, minlength=count)
    hydrogens = np.bincount(own[neighbour[near] == 1], minlength=count)
    nearest = np.full(count, np.inf)
    if len(centre):
        starts = np.append(0, np.flatnonzero(centre[1:] != centre[:-1]) + 1)
        nearest[centre[starts]] = np.minimum.reduceat(lengths, starts)
    return Surroundings(
        (numbers * MOST + bonds) * MOST + hydrogens,
        np.bincount(own, ratio, minlength=count) / np.maximum(bonds, 1),
        nearest,
    )


def kind_name(kind: int) -> str:
    """The name of a kind in SMARTS' words: `CX3H1` is a carbon with three neighbours, one of them a
    hydrogen.
    """
    number, bonds, hydrogens = parts_of(kind)
    return f"{chemical_symbols[number]}X{bonds}H{hydrogens}"


def kind_of(name: str) -> int:
    """The kind of a name.

    Raises:
        ValueError: it is none.
    """
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in atomic_numbers:
        raise ValueError(f"'{name:.20}' is no kind of atom, such as CX3H1")
    return (atomic_numbers[match[1]] * MOST + int(match[2])) * MOST + int(match[3])


def parts_of(kind: int) -> tuple[int, int, int]:
    """Atomic number, neighbours within bond range, hydrogens among them."""
    rest, hydrogens = divmod(kind, MOST)
    number, bonds = divmod(rest, MOST)
    return number, bonds, hydrogens


def pair_name(i: int, j: int) -> str:
    """The name of a pair of atomic numbers: `C-H`, the lower one last."""
    return f"{chemical_symbols[max(i, j)]}-{chemical_symbols[min(i, j)]}"


def pair_of(name: str) -> tuple[int, int]:
    """The atomic numbers of a pair's name, in its order.

    Raises:
        ValueError: it is none.
    """
    first, _, last = name.partition("-")
    if first not in atomic_numbers or last not in atomic_numbers:
        raise ValueError(f"'{name:.20}' is no pair of elements, such as C-H")
    return atomic_numbers[first], atomic_numbers[last]
