"""The rotational symmetry number of a molecule: how many rotations lead it onto itself."""

from collections.abc import Iterator

import numpy as np

from app.atoms.structure import Booleans, Floats, Integers
from app.tasks.thermo.rigid import Rotor

ALIKE = 2.0
"""Tolerances by which two distances may differ that a rotation leads onto each other."""
STRAY = 4.0
"""Tolerances by which a place may be missed before the best rotation is found: two atoms alone say a
rotation less well than all together.
"""
STEADY = 0.25
"""Part of the largest area between two atoms and the centre that those two span whose places tell
rotations apart."""


def symmetry_number(numbers: Integers, positions: Floats, tolerance: float) -> int:
    """Rotations after which each atom is where one of its element was; 1 of a single atom.

    Two atoms that are not in line with the centre say what a rotation is: all pairs that they might
    be led onto are tried.

    Args:
        numbers: (N,) atomic numbers.
        positions: (N, 3), Å.
        tolerance: Å by which an atom may miss the other's place.
    """
    r = positions - positions.mean(axis=0)
    if len(r) == 1:
        return 1
    same = numbers[:, None] == numbers[None]
    rotor = Rotor.of(positions, np.ones(len(numbers)))
    if rotor.is_linear:
        along = np.outer(r @ rotor.axes[0], rotor.axes[0])
        return 1 + _fits(along, -along, same, tolerance)
    return sum(_fits(r, r @ turn.T, same, tolerance) for turn in _turns(r, same, tolerance))


def _turns(r: Floats, same: Booleans, tolerance: float) -> Iterator[Floats]:
    """(3, 3), all rotations that lead two chosen atoms onto two like them."""
    radii = np.linalg.norm(r, axis=1)
    like = same & (np.abs(radii[:, None] - radii[None]) < ALIKE * tolerance)
    first, second = _reference(r, like)
    distances = np.linalg.norm(r[:, None] - r[None], axis=2)
    frame = _frame(r[first], r[second])
    for a in np.flatnonzero(like[first]):
        near = np.abs(distances[a] - distances[first, second]) < ALIKE * tolerance
        for b in np.flatnonzero(like[second] & near):
            if a != b:
                yield _frame(r[a], r[b]).T @ frame


def _reference(r: Floats, like: Booleans) -> tuple[int, int]:
    """Two atoms that span a large enough area with the centre, and have the fewest like them."""
    areas = np.linalg.norm(np.cross(r[:, None], r[None]), axis=2)
    count = like.sum(axis=1)
    pairs = np.where(areas > STEADY * areas.max(), np.outer(count, count), np.inf)
    first, second = np.unravel_index(np.argmin(pairs), pairs.shape)
    return int(first), int(second)


def _frame(a: Floats, b: Floats) -> Floats:
    """(3, 3), rows are orthonormal axes: along a, towards b, and across both."""
    x = a / np.linalg.norm(a)
    y = b - (b @ x) * x
    y = y / np.linalg.norm(y)
    return np.array([x, y, np.cross(x, y)])


def _fits(r: Floats, turned: Floats, same: Booleans, tolerance: float) -> bool:
    """Whether atoms are where others of their elements were, after the best rotation near to this.

    Args:
        r: (N, 3), Å, from their centre.
        turned: (N, 3), the same, turned.
        same: (N, N), whether two atoms are of one element.
        tolerance: Å.
    """
    distances = np.linalg.norm(turned[:, None] - r[None], axis=2)
    partner = np.where(same, distances, np.inf).argmin(axis=1)
    missed = distances[np.arange(len(r)), partner]
    if missed.max() > STRAY * tolerance or len(np.unique(partner)) < len(r):
        return False
    u, _, v = np.linalg.svd(turned.T @ r[partner])  # Kabsch, Acta Cryst. A32, 922 (1976)
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))])
    missed = np.linalg.norm(turned @ u @ sign @ v - r[partner], axis=1)
    return bool(missed.max() < tolerance)
