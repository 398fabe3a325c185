"""What training frames hold: sizes and distances, so that a model's card can tell what is beyond."""

import numpy as np
from ase.data import chemical_symbols

from app.atoms.ragged import ranges
from app.store.card import TrainingRange
from app.training.data.dataset import Dataset

ELEMENTS = len(chemical_symbols)
EDGES_AT_ONCE = 200_000
"""Edges that are looked at together, since all of them might not fit into memory."""


def training_range(frames: Dataset) -> TrainingRange:
    """The range of some frames' sizes and distances; farther than the cutoff nothing is seen."""
    closest = np.full((ELEMENTS, ELEMENTS), np.inf)
    farthest = np.zeros(ELEMENTS)
    portion = np.cumsum(frames.n_edges) // EDGES_AT_ONCE
    for rows in np.split(np.arange(len(frames)), np.flatnonzero(np.diff(portion)) + 1):
        _look_at(frames.take(rows), closest, farthest)
    pairs = np.argwhere(np.isfinite(closest))
    return TrainingRange(
        most_atoms=int(frames.n_atoms.max()),
        closest={pair_name(i, j): round(float(closest[i, j]), 3) for i, j in pairs if i >= j},
        farthest={
            chemical_symbols[z]: round(float(farthest[z]), 3) for z in np.flatnonzero(farthest)
        },
    )


def joined(one: TrainingRange, other: TrainingRange) -> TrainingRange:
    """The range of what is in one of two data sets."""
    return TrainingRange(
        most_atoms=max(one.most_atoms, other.most_atoms),
        closest={
            pair: min(r.closest[pair] for r in (one, other) if pair in r.closest)
            for pair in {**one.closest, **other.closest}
        },
        farthest={
            symbol: max(r.farthest[symbol] for r in (one, other) if symbol in r.farthest)
            for symbol in {**one.farthest, **other.farthest}
        },
    )


def pair_name(i: int, j: int) -> str:
    """The name of a pair of atomic numbers: `C-H`, the lower one last."""
    return f"{chemical_symbols[max(i, j)]}-{chemical_symbols[min(i, j)]}"


def _look_at(frames: Dataset, closest: np.ndarray, farthest: np.ndarray) -> None:
    """Note the distances of some frames: (Z, Z) shortest ones, (Z,) largest nearest ones, in Å."""
    arrays, atoms = frames.arrays, frames.atoms()
    edges = ranges(frames.edge_start, frames.n_edges)
    numbers, degree = arrays.numbers[atoms].astype(np.int64), arrays.degree[atoms]
    vectors = arrays.edge_vectors[edges].astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    first = np.repeat(np.cumsum(frames.n_atoms) - frames.n_atoms, frames.n_edges)
    neighbours = numbers[first + arrays.neighbors[edges]]
    np.minimum.at(closest, (np.repeat(numbers, degree), neighbours), lengths)
    has_any = degree > 0
    if has_any.any():
        starts = (np.cumsum(degree) - degree)[has_any]
        np.maximum.at(farthest, numbers[has_any], np.minimum.reduceat(lengths, starts))
