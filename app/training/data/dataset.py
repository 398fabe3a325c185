"""Dataset: labelled frames with their neighbour lists, as rows of flat arrays."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from ase.data import chemical_symbols

from app.atoms.ragged import ranges
from app.atoms.structure import Booleans, Floats, Integers, Structure
from app.training.data.arrays import Arrays, Memory, chunks, flatten
from app.training.data.frames import LabelledFrame

PART = 4096
"""Frames that are looked at together where all of them might not fit into memory."""


class SourceInfo(NamedTuple):
    """What the config says of the files that frames come from.

    Attributes:
        file: as the config names it.
        weight: how many times the errors of its frames count in the loss.
        missing_stress: whether its bulk frames may have no stress.
    """

    file: str
    weight: float = 1.0
    missing_stress: bool = False


class Dataset(Sequence[LabelledFrame]):
    """F labelled frames: rows of arrays that may lie on disk. A frame is made when it is asked for.

    Args:
        arrays: of these frames, and maybe of others.
        sources: what the arrays' `source` counts.
        rows: which frames, in which order; by default all.

    Attributes:
        n_atoms: (F,) atoms of each frame.
        n_edges: (F,) edges of each frame.
        width: (F,) largest number of neighbours of an atom of each frame.
        atom_start: (F,) first atom of each frame in the arrays.
        edge_start: (F,) first edge of each frame in the arrays.
    """

    def __init__(
        self, arrays: Arrays, sources: Sequence[SourceInfo], rows: Integers | None = None
    ) -> None:
        self.arrays, self.sources = arrays, tuple(sources)
        self.rows = np.arange(len(arrays.energy)) if rows is None else rows
        self.n_atoms, self.n_edges, self.width = (
            values[self.rows].astype(np.int64)
            for values in (arrays.n_atoms, arrays.n_edges, arrays.width)
        )
        self.atom_start, self.edge_start = (
            arrays.atom_start[self.rows],
            arrays.edge_start[self.rows],
        )

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> LabelledFrame: ...
    @overload
    def __getitem__(self, index: slice) -> "Dataset": ...
    def __getitem__(self, index: int | slice) -> "LabelledFrame | Dataset":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        arrays, row = self.arrays, int(self.rows[index])
        atoms = slice(self.atom_start[index], self.atom_start[index] + self.n_atoms[index])
        numbers, stress = arrays.numbers[atoms].astype(np.int64), arrays.stress[row]
        source = self.sources[arrays.source[row]]
        return LabelledFrame(
            Structure(
                numbers,
                arrays.positions[atoms],
                arrays.cell[row],
                arrays.pbc[row],
                int(arrays.charge[row]),
            ),
            float(arrays.energy[row]),
            arrays.forces[atoms],
            None if np.isnan(stress[0, 0]) else stress,
            source.file,
            int(arrays.number[row]),
            arrays.info_of(row),
            source.weight,
        )

    def take(self, indices: Sequence[int] | Integers) -> "Dataset":
        """The frames of these (n,) numbers."""
        return Dataset(self.arrays, self.sources, self.rows[np.asarray(indices, dtype=np.int64)])

    def parts(self) -> Iterator["Dataset"]:
        """The same frames, some at a time."""
        return (self[start : start + PART] for start in range(0, len(self), PART))

    def atoms(self) -> Integers:
        """(N,) where the frames' atoms stand in the arrays."""
        return ranges(self.atom_start, self.n_atoms)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The working precision."""
        return self.arrays.edge_vectors.dtype

    @property
    def charge(self) -> Integers:
        """(F,) total charges, in elementary charges."""
        return self.arrays.charge[self.rows].astype(np.int64)

    @property
    def energy(self) -> Floats:
        """(F,), eV, total."""
        energy: Floats = self.arrays.energy[self.rows]
        return energy

    @property
    def stress(self) -> Floats:
        """(F, 3, 3), eV/Å³; NaN where there is none."""
        stress: Floats = self.arrays.stress[self.rows]
        return stress

    @property
    def volume(self) -> Floats:
        """(F,), Å³; NaN where the structure is not bulk."""
        volume = np.abs(np.linalg.det(self.arrays.cell[self.rows]))
        return np.where(self.arrays.pbc[self.rows].all(axis=1), volume, np.nan)

    @property
    def weight(self) -> Floats:
        """(F,) how many times the errors of each frame count."""
        return np.array([source.weight for source in self.sources])[self.arrays.source[self.rows]]

    @property
    def average_neighbors(self) -> float:
        """Mean number of neighbours of an atom."""
        return float(self.n_edges.sum() / self.n_atoms.sum())

    @property
    def has_forces(self) -> Booleans:
        """(F,) whether the frame's forces are labelled: those of all its atoms are, or none."""
        known: Booleans = np.isfinite(self.arrays.forces[self.atom_start, 0])
        return known

    @property
    def has_stress(self) -> Booleans:
        """(F,) whether the frame has a stress."""
        known: Booleans = np.isfinite(self.arrays.stress[self.rows, 0, 0])
        return known

    def element_counts(self) -> dict[str, int]:
        """How many atoms of each element there are, by atomic number."""
        counts = np.zeros(len(chemical_symbols), dtype=np.int64)
        for part in self.parts():
            counts += np.bincount(self.arrays.numbers[part.atoms()], minlength=len(counts))
        return {chemical_symbols[z]: int(counts[z]) for z in np.flatnonzero(counts)}

    @property
    def nbytes(self) -> int:
        """Bytes of these frames' atoms and edges in the arrays, on disk or in memory."""
        atom, edge = (
            sum(getattr(self.arrays, name)[:1].nbytes for name in names)
            for names in (
                ("numbers", "positions", "forces", "degree"),
                ("edge_vectors", "neighbors", "reverse"),
            )
        )
        return int(self.n_atoms.sum() * atom + self.n_edges.sum() * edge)


def build_dataset(
    frames: Sequence[LabelledFrame], cutoff: float, dtype: str = "float32"
) -> Dataset:
    """Find all neighbours, and lay frames out in flat arrays in memory.

    Args:
        frames: at least one.
        cutoff: Å.
        dtype: working precision, `float32` or `float64`.

    Raises:
        InvalidData: a structure has no neighbour list (atoms on one spot, say); names file and
            frame.
    """
    memory = Memory()
    sources: dict[SourceInfo, int] = {}
    for chunk in chunks(frames):
        numbers = [sources.setdefault(SourceInfo(f.file, f.weight), len(sources)) for f in chunk]
        memory.add(flatten(chunk, numbers, cutoff, dtype))
    return Dataset(memory.arrays(), tuple(sources))
