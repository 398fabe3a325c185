"""The dense edge layout that exported models take: K slots for the neighbours of each atom, in portions.

Sums over neighbours become sums over an axis, so that neither a model nor its gradient needs a scatter. A
graph is cut into portions of atoms with like numbers of neighbours, which keeps the padding small.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.graph import Graph
from app.structure import Booleans, Floats, Integers

SHARED = 8
"""Threads up to this number get like shares of a large graph's portions."""


@dataclass(frozen=True, slots=True)
class Slots:
    """n of a graph's atoms, with K >= 1 slots for the edges of each; padded slots are False in `mask`.

    Attributes:
        atoms: (n,) index of each atom in the graph.
        edges: (m,) index in the graph of the edge in each true slot, row by row.
        mask: (n, K) whether the slot holds an edge.
        graph: where they come from.
    """

    atoms: Integers
    edges: Integers
    mask: Booleans
    graph: Graph

    def feeds(self, species: Integers, vectors: Floats, dtype: np.dtype) -> dict[str, NDArray]:  # type: ignore[type-arg]
        """The inputs of a strictly local model, as `app.training.models.inputs` describes them.

        Args:
            species: (N,) species index of the graph's atoms.
            vectors: (E, 3), Å, the graph's edge vectors.
            dtype: of the model.
        """
        neighbor_species = np.zeros(self.mask.shape, dtype=np.int64)
        edge_vectors = np.zeros((*self.mask.shape, 3), dtype=dtype)
        neighbor_species[self.mask] = species[self.graph.edge_index[1, self.edges]]
        edge_vectors[self.mask] = vectors[self.edges]
        return {
            "species": species[self.atoms],
            "neighbor_species": neighbor_species,
            "edge_vectors": edge_vectors,
            "mask": self.mask,
        }

    def links(self) -> dict[str, Integers]:
        """What a message-passing model needs besides: each slot's neighbour, and the slot of its reverse edge.

        The portion must hold whole structures. Padded slots point to their own atom and slot.
        """
        n, k = self.mask.shape
        atom_at = np.empty(len(self.graph.numbers), dtype=np.int64)
        atom_at[self.atoms] = np.arange(n)
        slot_at = np.empty(len(self.graph.edge_reverse), dtype=np.int64)
        slot_at[self.edges] = np.flatnonzero(self.mask)
        neighbors = np.repeat(np.arange(n), k).reshape(n, k)
        reverse = np.arange(n * k).reshape(n, k)
        neighbors[self.mask] = atom_at[self.graph.edge_index[1, self.edges]]
        reverse[self.mask] = slot_at[self.graph.edge_reverse[self.edges]]
        return {"neighbors": neighbors, "reverse": reverse}


def portions(graph: Graph, least_slots: int, most_slots: int, whole_structures: bool) -> list[Slots]:
    """Cut a graph into portions of at most `most_slots` slots (more only where one atom or structure has more).

    They are of like size, and in number a power of two or a multiple of `SHARED`, so that threads end together; the
    number of threads is not asked for, since a portion's company may change the last bits of its numbers. Halo atoms
    have no energy to evaluate, so that they are in no portion of a strictly local model.

    Args:
        graph: the graph.
        least_slots: below which a graph is not cut for the sake of threads.
        most_slots: n * K of a portion.
        whole_structures: keep the atoms of a structure together, as a message-passing model needs.
    """
    degree = np.bincount(graph.edge_index[0], minlength=len(graph.numbers))
    if whole_structures:
        starts = np.concatenate([[0], np.cumsum(graph.n_atoms[:-1])])
        sizes, slots = graph.n_atoms, np.maximum.reduceat(degree, starts)
    else:
        starts = np.flatnonzero(~graph.halo)
        sizes, slots = np.ones_like(starts), degree[starts]
    order = np.argsort(slots, kind="stable")
    slots = np.maximum(slots, 1)
    count = _how_many(int(sizes @ slots), least_slots, most_slots)
    cuts = _cuts(sizes[order], slots[order], most_slots, count)
    return [_slots(graph, degree, ranges(starts[part], sizes[part])) for part in np.split(order, cuts)]


def dense_edges(graph: Graph) -> Slots:
    """A whole graph as one portion."""
    degree = np.bincount(graph.edge_index[0], minlength=len(graph.numbers))
    return _slots(graph, degree, np.arange(len(degree)))


def ranges(starts: Integers, lengths: Integers) -> Integers:
    """start, start + 1, … of each range, one range after the other."""
    before = np.cumsum(lengths) - lengths
    flat: Integers = np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
    return flat


def _slots(graph: Graph, degree: Integers, atoms: Integers) -> Slots:
    lengths = degree[atoms]
    first_edge = np.cumsum(degree) - degree
    mask = np.arange(max(int(lengths.max()), 1)) < lengths[:, None]
    return Slots(atoms, ranges(first_edge[atoms], lengths), mask, graph)


def _how_many(slots: int, least: int, most: int) -> int:
    """Into how many like portions so many slots are cut, if padding does not ask for more."""
    few = max(1, slots // least)
    return 1 << (few.bit_length() - 1) if few < SHARED else SHARED * math.ceil(slots / (SHARED * most))


def _cuts(sizes: Integers, slots: Integers, most: int, count: int) -> list[int]:
    """Where to cut a list that is sorted by slots into `count` like parts; more where padding would exceed `most`."""
    cuts: list[int] = []
    shares = sizes * slots
    before, total = (np.cumsum(shares) - shares).tolist(), int(shares.sum())
    atoms = 0
    for i, (size, k, past) in enumerate(zip(sizes.tolist(), slots.tolist(), before, strict=True)):
        if atoms and ((atoms + size) * k > most or past * count >= (len(cuts) + 1) * total):
            cuts.append(i)
            atoms = 0
        atoms += size
    return cuts
