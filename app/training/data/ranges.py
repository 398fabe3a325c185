"""What training frames hold: sizes, distances, kinds of atoms and forces, so that a model's card can
tell what is beyond.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from ase.data import chemical_symbols

from app.atoms.oddities import LEAST_ATOMS, Oddity, oddities
from app.atoms.ragged import ranges, rows_of
from app.atoms.structure import Booleans, Floats, Integers
from app.atoms.surroundings import kind_name, pair_name, surroundings
from app.store.training_range import MOST_SURROUNDINGS, TrainingRange
from app.training.data.dataset import Dataset

ELEMENTS = len(chemical_symbols)
EDGES_AT_ONCE = 200_000
"""Edges that are looked at together, since all of them might not fit into memory."""
UNSEEN = 0.01
"""Share of frames with a new kind of atom beyond which the kinds that were seen say little."""

USUAL = 0.999
"""Share of the frames that have at most as many odd atoms as is called known."""

T = TypeVar("T")
C = TypeVar("C", int, str)


def training_range(frames: Dataset) -> TrainingRange:
    """The range of what frames hold; farther than the cutoff nothing is seen.

    Single atoms in open space are told apart: neither their charges nor their lack of neighbours say
    anything of molecules.
    """
    seen = _Seen()
    portion = np.cumsum(frames.n_edges) // EDGES_AT_ONCE
    for rows in np.split(np.arange(len(frames)), np.flatnonzero(np.diff(portion)) + 1):
        seen.look_at(frames.take(rows))
    pairs = np.argwhere(np.isfinite(seen.closest))
    return TrainingRange(
        most_atoms=int(frames.n_atoms.max()),
        closest={pair_name(i, j): round(float(seen.closest[i, j]), 3) for i, j in pairs if i >= j},
        farthest=_by_element(seen.farthest),
        periodic=bool(frames.arrays.pbc[frames.rows].any()),
        molecular=bool((~frames.arrays.pbc[frames.rows].any(axis=1)).any()),
        charges=tuple(np.unique(frames.charge[~_single(frames)]).tolist()),
        alone=tuple(chemical_symbols[z] for z in np.flatnonzero(seen.alone)),
        surroundings=seen.surroundings(len(frames)),
        strongest=_by_element(seen.strongest) or None,
        oddities=seen.oddities(),
    )


def joined(one: TrainingRange, other: TrainingRange) -> TrainingRange:
    """The range of what is in one of two data sets; what is not known of one is not known of both."""
    return TrainingRange(
        most_atoms=max(one.most_atoms, other.most_atoms),
        closest=_either(min, one.closest, other.closest),
        farthest=_either(max, one.farthest, other.farthest),
        least_ratio=min(filter(None, (one.least_ratio, other.least_ratio)), default=None),
        periodic=_of_both(bool.__or__, one.periodic, other.periodic),
        molecular=_of_both(bool.__or__, one.molecular, other.molecular),
        charges=_of_both(_union, one.charges, other.charges),
        alone=_of_both(_union, one.alone, other.alone),
        surroundings=_of_both(_all_kinds, one.surroundings, other.surroundings),
        strongest=_of_both(_largest, one.strongest, other.strongest),
        oddities=_of_both(_most, one.oddities, other.oddities),
    )


class _Seen:
    """What was seen in the frames so far.

    Attributes:
        closest: (Z, Z), Å, shortest distances.
        farthest: (Z,), Å, largest nearest ones.
        strongest: (Z,), eV/Å, longest forces.
        alone: (Z,) whether there was a single atom in open space.
        kinds: by kind of atom, least and largest stretch, and in how many frames it was.
        odd: by oddity, how many such atoms each of the larger frames has.
    """

    def __init__(self) -> None:
        self.closest = np.full((ELEMENTS, ELEMENTS), np.inf)
        self.farthest, self.strongest = np.zeros(ELEMENTS), np.zeros(ELEMENTS)
        self.alone = np.zeros(ELEMENTS, dtype=bool)
        self.kinds: dict[int, tuple[float, float, int]] = {}
        self.odd: dict[Oddity, list[Integers]] = {"free": [], "unsaturated": [], "shared": []}

    def look_at(self, frames: Dataset) -> None:
        """Note what is in some frames."""
        arrays, atoms = frames.arrays, frames.atoms()
        edges = ranges(frames.edge_start, frames.n_edges)
        numbers, degree = arrays.numbers[atoms].astype(np.int64), arrays.degree[atoms]
        vectors = arrays.edge_vectors[edges].astype(np.float64)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        first = np.repeat(np.cumsum(frames.n_atoms) - frames.n_atoms, frames.n_edges)
        neighbours = numbers[first + arrays.neighbors[edges]]
        np.minimum.at(self.closest, (np.repeat(numbers, degree), neighbours), lengths)
        around = surroundings(numbers, rows_of(degree), neighbours, lengths)
        self._note_oddities(frames, numbers, rows_of(degree), neighbours, vectors, lengths)
        has_any = degree > 0
        np.maximum.at(self.farthest, numbers[has_any], around.nearest[has_any])
        forces = np.linalg.norm(arrays.forces[atoms], axis=1)
        np.fmax.at(self.strongest, numbers, forces)
        single = np.repeat(_single(frames), frames.n_atoms)
        self.alone[numbers[single]] = True
        of = rows_of(frames.n_atoms)[~single]
        if len(of):
            self._note_kinds(around.kind[~single], around.stretch[~single], of)

    def _note_kinds(self, kind: Integers, stretch: Floats, frame: Integers) -> None:
        """Widen the ranges of (N,) atoms' kinds, and count the frames that have each."""
        order = np.lexsort((frame, kind))
        kind, stretch, frame = kind[order], stretch[order], frame[order]
        starts = np.flatnonzero(np.diff(kind, prepend=-1))
        new = np.diff(frame, prepend=-1) != 0
        new[starts] = True
        least, most = (f.reduceat(stretch, starts).tolist() for f in (np.minimum, np.maximum))
        frames = np.add.reduceat(new.astype(np.int64), starts).tolist()
        for key, low, high, count in zip(kind[starts].tolist(), least, most, frames, strict=True):
            old = self.kinds.get(key, (np.inf, 0.0, 0))
            self.kinds[key] = (min(old[0], low), max(old[1], high), old[2] + count)

    def _note_oddities(self, frames: Dataset, numbers: Integers, *edges: Any) -> None:
        """Count the odd atoms of each frame."""
        larger, frame = frames.n_atoms >= LEAST_ATOMS, rows_of(frames.n_atoms)
        for name, odd in oddities(numbers, *edges).each().items():
            count = np.bincount(frame[odd], minlength=len(frames))
            if name == "unsaturated":
                count = np.maximum(count - np.abs(frames.charge), 0)
            self.odd[name].append(count[larger])

    def oddities(self) -> dict[Oddity, int] | None:
        """How many odd atoms are usual; None where all frames are small."""
        counts = {name: np.concatenate(parts) for name, parts in self.odd.items()}
        if not len(counts["free"]):
            return None
        return {
            name: int(np.quantile(count, USUAL, method="higher")) for name, count in counts.items()
        }

    def surroundings(self, frames: int) -> dict[str, tuple[float, float]] | None:
        """The kinds of atoms, where the frames show almost all that others like them would have.

        The chance that one more frame has a kind of which there was none is about the number of
        kinds that were in one frame only, over that of the frames (Good, Biometrika 40, 237
        (1953)).
        """
        once = sum(count == 1 for *_, count in self.kinds.values())
        if once > UNSEEN * frames or len(self.kinds) > MOST_SURROUNDINGS:
            return None
        return {
            kind_name(kind): (round(low, 4), round(high, 4))
            for kind, (low, high, _) in sorted(self.kinds.items())
        }


def _single(frames: Dataset) -> Booleans:
    """(F,) whether a frame is a single atom in open space."""
    single: Booleans = (frames.n_atoms == 1) & (frames.n_edges == 0)
    return single


def _by_element(values: Floats) -> dict[str, float]:
    """(Z,) values by symbol, without those that are zero."""
    return {chemical_symbols[z]: round(float(values[z]), 3) for z in np.flatnonzero(values)}


def _of_both(merge: Callable[[T, T], T], one: T | None, other: T | None) -> T | None:
    return None if one is None or other is None else merge(one, other)


def _either(
    choose: Callable[[float, float], float], one: Mapping[str, float], other: Mapping[str, float]
) -> dict[str, float]:
    """The values of both, and where both have one, that which is chosen."""
    return {
        name: choose(one.get(name, other.get(name, 0.0)), other.get(name, one.get(name, 0.0)))
        for name in {**one, **other}
    }


def _largest(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return _either(max, one, other)


def _most(one: dict[Oddity, int], other: dict[Oddity, int]) -> dict[Oddity, int]:
    return {name: max(one[name], other[name]) for name in one}


def _union(one: tuple[C, ...], other: tuple[C, ...]) -> tuple[C, ...]:
    return tuple(sorted(set(one) | set(other)))


def _all_kinds(
    one: dict[str, tuple[float, float]], other: dict[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    least, most = (
        _either(choose, *({name: ends[end] for name, ends in r.items()} for r in (one, other)))
        for end, choose in enumerate((min, max))
    )
    return {name: (least[name], most[name]) for name in least}
