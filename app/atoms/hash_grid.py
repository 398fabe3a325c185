"""A cell list that keeps cells only where atoms are, for boxes large and almost empty.

The box is cut into cells at least one cutoff across, each atom belongs to one of them, and the
pairs of an atom are in its own cell and in those around it (Hockney, Goel, Eastwood, J. Comput.
Phys. 14, 148 (1974)). Atoms are sorted by the number of their cell, so that a cell is found by
bisection and an empty one costs nothing: time and memory are in proportion to atoms and pairs,
whatever the size of the box.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

from app.atoms.ragged import ranges, rows_of
from app.atoms.structure import Floats, Integers


def half_list(positions: Floats, box: Floats, cutoff: float) -> tuple[Integers, Integers, Floats]:
    """Each pair of atoms closer than the cutoff, once.

    Args:
        positions: (N, 3), Å.
        box: (3, 3), Å; rows are lattice vectors, periodic in all of them.
        cutoff: Å, > 0.

    Returns:
        (M, 2) atoms i and j of each pair; (M, 3) the translations of j, in rows of the box; and
        (M,) their distances in Å.
    """
    across = 1.0 / np.linalg.norm(np.linalg.inv(box), axis=0)
    cells = np.maximum(1, np.floor(across / cutoff)).astype(np.int64)
    reach = np.ceil(cutoff * cells / across).astype(np.int64)
    fractions = positions @ np.linalg.inv(box)
    wraps = np.floor(fractions).astype(np.int64)
    own = np.minimum(((fractions - wraps) * cells).astype(np.int64), cells - 1)
    order = np.argsort(_number(own, cells), kind="stable")
    numbers = _number(own[order], cells)
    parts = [(np.empty((0, 2), np.int64), np.empty((0, 3), np.int64), np.empty(0))]
    for offset in _half_space(reach):
        crossing, inside = np.divmod(own + offset, cells)
        i, j = _pairs(numbers, order, _number(inside, cells))
        if not any(offset):
            i, j = i[i < j], j[i < j]
        shifts = crossing[i] + wraps[i] - wraps[j]
        vectors = positions[j] - positions[i] + shifts @ box
        distances = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        near = distances < cutoff
        parts.append((np.stack([i[near], j[near]], axis=1), shifts[near], distances[near]))
    pairs, translations, lengths = zip(*parts, strict=True)
    return np.concatenate(pairs), np.concatenate(translations), np.concatenate(lengths)


def _number(own: Integers, cells: Integers) -> Integers:
    """(N,) number of each atom's cell, from its (N, 3) indices along the box's vectors."""
    number: Integers = (own[:, 0] * cells[1] + own[:, 1]) * cells[2] + own[:, 2]
    return number


def _half_space(reach: Integers) -> Iterator[tuple[int, ...]]:
    """Offsets of cells of which none is the opposite of another."""
    for offset in product(*(range(-r, r + 1) for r in reach.tolist())):
        if offset >= (0, 0, 0):
            yield offset


def _pairs(numbers: Integers, order: Integers, wanted: Integers) -> tuple[Integers, Integers]:
    """Each atom i with each atom j of the cell that it wants.

    Args:
        numbers: (N,) numbers of the atoms' cells, sorted.
        order: (N,) the atoms in this order.
        wanted: (N,) the number of the cell that each atom wants.
    """
    first, last = (
        np.searchsorted(numbers, wanted, "left"),
        np.searchsorted(numbers, wanted, "right"),
    )
    counts = last - first
    return rows_of(counts), order[ranges(first, counts)]
