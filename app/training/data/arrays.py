"""Flat arrays: labelled frames with their neighbour lists, one after the other, in memory or in
files.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graph, build_graphs
from app.atoms.ragged import starts_of
from app.atoms.structure import Booleans, Floats, Integers
from app.errors import InputError, InvalidData
from app.training.data.frames import LabelledFrame

Small = NDArray[np.int32]
Part = Mapping[str, NDArray[Any]]
CHUNK = 512
"""Most frames whose neighbour lists are made at once."""
CHUNK_ATOMS = 4096
"""Atoms after which a chunk of frames ends; a larger frame goes alone."""


@dataclass(frozen=True, slots=True)
class Arrays:
    """F frames, their N atoms, E edges and the bytes of their remarks, one after the other.

    Attributes:
        source: (F,) which of the sources a frame comes from.
        number: (F,) its number in that source, from 0.
        energy: (F,), eV, total.
        stress: (F, 3, 3), eV/Å³; NaN where there is none.
        cell: (F, 3, 3), Å, rows are lattice vectors.
        pbc: (F, 3) whether the structure repeats along each lattice vector.
        charge: (F,) total charge, in elementary charges.
        n_atoms: (F,) atoms of each frame.
        n_edges: (F,) edges of each frame.
        n_info: (F,) bytes of each frame's remarks.
        width: (F,) largest number of neighbours of an atom of each frame.
        numbers: (N,) atomic numbers.
        positions: (N, 3), Å.
        forces: (N, 3), eV/Å; NaN where there is no label.
        degree: (N,) neighbours of each atom.
        edge_vectors: (E, 3), Å, sorted by centre, in the working precision.
        neighbors: (E,) atom index of the neighbour, within the frame.
        reverse: (E,) edge index of the reverse edge, within the frame.
        info: the frames' remarks as JSON objects; nothing for a frame without any.
        atom_start: (F + 1,) first atom of each frame.
        edge_start: (F + 1,) first edge of each frame.
        info_start: (F + 1,) first byte of each frame's remarks.
    """

    source: Small
    number: Integers
    energy: Floats
    stress: Floats
    cell: Floats
    pbc: Booleans
    charge: Small
    n_atoms: Small
    n_edges: Small
    n_info: Small
    width: Small
    numbers: NDArray[np.uint8]
    positions: Floats
    forces: Floats
    degree: Small
    edge_vectors: NDArray[Any]
    neighbors: Small
    reverse: Small
    info: NDArray[np.uint8]
    atom_start: Integers = field(init=False)
    edge_start: Integers = field(init=False)
    info_start: Integers = field(init=False)

    def __post_init__(self) -> None:
        for name in ("atom", "edge", "info"):
            counts = getattr(self, "n_info" if name == "info" else f"n_{name}s")
            object.__setattr__(self, f"{name}_start", starts_of(counts))

    def info_of(self, row: int) -> dict[str, object]:
        """A frame's remarks: those that are one number, text or truth value."""
        text = self.info[self.info_start[row] : self.info_start[row + 1]].tobytes()
        info: dict[str, object] = json.loads(text) if text else {}
        return info


class Sink(Protocol):
    """What takes arrays part by part."""

    def add(self, part: Part) -> None:
        """Append the arrays of some frames."""


class Memory:
    """Arrays that grow in memory."""

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def add(self, part: Part) -> None:
        """Append the arrays of some frames."""
        self.parts.append(part)

    def arrays(self) -> Arrays:
        """All that was added."""
        return Arrays(
            **{name: np.concatenate([part[name] for part in self.parts]) for name in self.parts[0]}
        )


def chunks(frames: Iterable[LabelledFrame]) -> Iterator[list[LabelledFrame]]:
    """Frames in lists whose neighbour lists fit into little memory."""
    chunk: list[LabelledFrame] = []
    atoms = 0
    for frame in frames:
        if chunk and (len(chunk) == CHUNK or atoms + len(frame.structure) > CHUNK_ATOMS):
            yield chunk
            chunk, atoms = [], 0
        chunk.append(frame)
        atoms += len(frame.structure)
    if chunk:
        yield chunk


def flatten(
    frames: Sequence[LabelledFrame], sources: Sequence[int], cutoff: float, dtype: str
) -> Part:
    """The arrays of some frames, their neighbours found.

    Args:
        frames: at least one.
        sources: which source each comes from.
        cutoff: Å.
        dtype: working precision, `float32` or `float64`.

    Raises:
        InvalidData: a structure has no neighbour list (atoms on one spot, say); names file and
            frame.
    """
    missing = np.full((3, 3), np.nan)
    info = [_remarks(frame.info) for frame in frames]
    return {
        "source": np.array(sources, dtype=np.int32),
        "number": np.array([f.index for f in frames], dtype=np.int64),
        "energy": np.array([f.energy for f in frames], dtype=np.float64),
        "stress": np.array(
            [missing if f.stress is None else f.stress for f in frames], dtype=np.float64
        ),
        "n_info": np.array([len(text) for text in info], dtype=np.int32),
        "forces": np.concatenate([f.forces for f in frames]).astype(np.float64),
        "info": np.frombuffer(b"".join(info), dtype=np.uint8),
        **_of_graph(_graph(frames, cutoff), np.dtype(dtype)),
    }


def _of_graph(graph: Graph, dtype: np.dtype[Any]) -> Part:
    centre, neighbour = graph.edge_index
    atom_start = starts_of(graph.n_atoms)
    degree = np.bincount(centre, minlength=len(graph.numbers)).astype(np.int32)
    return {
        "cell": graph.cell,
        "pbc": graph.pbc,
        "charge": graph.charge.astype(np.int32),
        "n_atoms": graph.n_atoms.astype(np.int32),
        "n_edges": graph.n_edges.astype(np.int32),
        "width": np.maximum.reduceat(degree, atom_start[:-1]),
        "numbers": graph.numbers.astype(np.uint8),
        "positions": graph.positions,
        "degree": degree,
        "edge_vectors": graph.edge_vectors().astype(dtype),
        "neighbors": (neighbour - np.repeat(atom_start[:-1], graph.n_edges)).astype(np.int32),
        "reverse": (
            graph.edge_reverse - np.repeat(starts_of(graph.n_edges)[:-1], graph.n_edges)
        ).astype(np.int32),
    }


def _remarks(info: Mapping[str, object]) -> bytes:
    plain = {
        key: value.item() if isinstance(value, np.generic) else value for key, value in info.items()
    }
    kept = {key: value for key, value in plain.items() if isinstance(value, (str, int, float))}
    return json.dumps(kept).encode() if kept else b""


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
