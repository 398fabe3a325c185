"""Dataset: labelled frames with their neighbour lists, in flat arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import InputError, InvalidData
from app.graph import Graph
from app.neighbors import build_graph, build_graphs
from app.structure import Floats, Integers
from app.training.frames import LabelledFrame

Small = NDArray[np.int32]
CHUNK = 512
"""Frames whose neighbour lists are made at once."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """F labelled frames, their N atoms and E edges one after the other.

    Attributes:
        frames: where they came from, with their labels in float64.
        numbers: (N,) atomic numbers.
        forces: (N, 3), eV/Å, in the working precision; NaN where there is no label.
        degree: (N,) neighbours of each atom.
        edge_vectors: (E, 3), Å, sorted by centre, in the working precision.
        neighbors: (E,) atom index of the neighbour, within the frame.
        reverse: (E,) edge index of the reverse edge, within the frame.
        atom_start: (F + 1,) first atom of each frame.
        edge_start: (F + 1,) first edge of each frame.
        stress: (F, 3, 3), eV/Å³; NaN where there is none.
        volume: (F,), Å³; NaN where the structure is not bulk.
    """

    frames: Sequence[LabelledFrame]
    numbers: Integers
    forces: NDArray[Any]
    degree: Small
    edge_vectors: NDArray[Any]
    neighbors: Small
    reverse: Small
    atom_start: Integers
    edge_start: Integers
    stress: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def n_atoms(self) -> Integers:
        """(F,) atoms of each frame."""
        return np.diff(self.atom_start)

    @property
    def n_edges(self) -> Integers:
        """(F,) edges of each frame."""
        return np.diff(self.edge_start)

    @property
    def width(self) -> Integers:
        """(F,) largest number of neighbours of an atom of each frame."""
        return np.maximum.reduceat(self.degree, self.atom_start[:-1]).astype(np.int64)


def build_dataset(frames: Sequence[LabelledFrame], cutoff: float, dtype: str = "float32") -> Dataset:
    """Find all neighbours, and lay frames out in flat arrays.

    Args:
        frames: at least one.
        cutoff: Å.
        dtype: working precision, `float32` or `float64`.

    Raises:
        InvalidData: a structure has no neighbour list (atoms on one spot, say); names file and frame.
    """
    precision = np.dtype(dtype)
    parts = [_flat(frames[i : i + CHUNK], cutoff, precision) for i in range(0, len(frames), CHUNK)]
    degree, vectors, neighbors, reverse, n_edges = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Dataset(
        frames=frames,
        numbers=np.concatenate([f.structure.numbers for f in frames]),
        forces=np.concatenate([f.forces for f in frames]).astype(precision),
        degree=degree,
        edge_vectors=vectors,
        neighbors=neighbors,
        reverse=reverse,
        atom_start=starts_of([len(f.structure) for f in frames]),
        edge_start=starts_of(n_edges),
        stress=np.array([np.full((3, 3), np.nan) if f.stress is None else f.stress for f in frames]),
        volume=np.array([f.structure.volume if f.structure.is_bulk else np.nan for f in frames]),
    )


def _flat(frames: Sequence[LabelledFrame], cutoff: float, dtype: np.dtype[Any]) -> tuple[NDArray[Any], ...]:
    graph = _graph(frames, cutoff)
    centre, neighbour = graph.edge_index
    first_atom = np.repeat(starts_of(graph.n_atoms)[:-1], graph.n_edges)
    first_edge = np.repeat(starts_of(graph.n_edges)[:-1], graph.n_edges)
    return (
        np.bincount(centre, minlength=len(graph.numbers)).astype(np.int32),
        graph.edge_vectors().astype(dtype),
        (neighbour - first_atom).astype(np.int32),
        (graph.edge_reverse - first_edge).astype(np.int32),
        graph.n_edges,
    )


def _graph(frames: Sequence[LabelledFrame], cutoff: float) -> Graph:
    try:
        return build_graphs([f.structure for f in frames], cutoff)
    except InputError:
        for frame in frames:
            _check(frame, cutoff)
        raise


def _check(frame: LabelledFrame, cutoff: float) -> None:
    try:
        build_graph(frame.structure, cutoff)
    except InputError as error:
        raise InvalidData(f"{frame.origin}: {error}") from error


def starts_of(counts: NDArray[Any] | Sequence[int]) -> Integers:
    """(F + 1,) where each of F runs of these lengths starts, and where the last one ends."""
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts
