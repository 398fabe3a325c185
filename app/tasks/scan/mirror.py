"""Mirror images: a molecule without stereocentres has the same energy at both signs of a dihedral angle."""

from collections.abc import Iterator

import numpy as np

from app.atoms.structure import Floats, Structure
from app.relax.bonds import joined, kinds_of

TURN = 360.0
INVERTING = (6, 7)
"""Elements that with three neighbours are flat, or turn over: C and N."""
FLAT = 0.1
"""Å from the plane of its three neighbours within which an atom is no centre."""


def opposites(values: Floats) -> Iterator[tuple[int, int]]:
    """Numbers of points and of those that have the opposite angle, in both directions.

    Args:
        values: (K,), degrees.
    """
    for i, value in enumerate(values):
        off = np.abs((values + value + TURN / 2) % TURN - TURN / 2)
        j = int(np.argmin(off))
        if off[j] < 1e-6 and i != j:
            yield i, j


def mirrored(structure: Structure) -> Structure:
    """The molecule with x turned over."""
    return structure.at(structure.positions * np.array([-1.0, 1.0, 1.0]))


def is_its_image(structure: Structure) -> bool:
    """Whether the mirror image is the same molecule, as far as its bonds tell; false where atoms are
    fixed.

    It is not where an atom has neighbours that all differ and that are not in a plane with it: a
    stereocentre, or what might be one.
    """
    if structure.fixed is not None and structure.fixed.any():
        return False
    bonded = joined(structure)
    kinds = kinds_of(structure)
    for atom, row in enumerate(bonded):
        around = np.flatnonzero(row)
        if len({kinds[i] for i in around}) < max(3, len(around)):
            continue
        if len(around) > 3:
            return False
        inverts = structure.numbers[atom] in INVERTING
        if not inverts and _height(structure.positions, atom, around.tolist()) > FLAT:
            return False
    return True


def _height(positions: Floats, atom: int, around: list[int]) -> float:
    """Å of an atom above the plane of three others."""
    a, b, c = positions[around]
    normal = np.cross(b - a, c - a)
    return float(abs((positions[atom] - a) @ normal) / np.linalg.norm(normal))
