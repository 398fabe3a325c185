"""Distances in periodic frames: the radial distribution of the oxygens, and whether the molecules
are whole.
"""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from app.atoms.neighbors import heights

Array = NDArray[np.float64]


def radial_distribution(
    frames: Sequence[Atoms], number: int, width: float = 0.05
) -> tuple[Array, Array]:
    """Distances and g(r) between the atoms of one element, up to half the smallest height of the
    cell.

    g(r) = n(r) / (N (N − 1) / 2 · 4π/3 ((r + w/2)³ − (r − w/2)³) / V), n the mean count of pairs in
    a shell of width w.

    Args:
        frames: of the same periodic cell and atoms.
        number: atomic number of the element.
        width: Å, of a shell.

    Returns:
        (B,), Å, middles of the shells; (B,), g(r).
    """
    cell = np.asarray(frames[0].cell)
    edges = np.arange(0.0, heights(cell).min() / 2, width)
    which = frames[0].numbers == number
    first, second = np.triu_indices(int(which.sum()), 1)
    counts = np.zeros(len(edges) - 1)
    for atoms in frames:
        positions = atoms.positions[which]
        counts += np.histogram(_lengths(positions[second] - positions[first], cell), edges)[0]
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    uniform = len(frames) * len(first) * shells / frames[0].get_volume()
    return 0.5 * (edges[1:] + edges[:-1]), counts / uniform


def longest_bond(frames: Sequence[Atoms], number: int = 1, partner: int = 8) -> float:
    """Å: the largest distance, in any frame, of an atom of one element to the nearest of another."""
    longest = 0.0
    for atoms in frames:
        from_here, to_there = (atoms.positions[atoms.numbers == z] for z in (number, partner))
        distances = _lengths(to_there - from_here[:, None], np.asarray(atoms.cell))
        longest = max(longest, float(distances.min(axis=1).max()))
    return longest


def _lengths(vectors: Array, cell: Array) -> Array:
    """Lengths to the nearest image; right up to half the smallest height of the cell."""
    fractional = vectors @ np.linalg.inv(cell)
    return np.asarray(np.linalg.norm((fractional - np.round(fractional)) @ cell, axis=-1))
