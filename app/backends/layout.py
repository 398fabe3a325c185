"""The dense edge layout of exported models: portions with K slots for an atom's neighbours.

Sums over neighbours become sums over an axis, so that neither a model nor its gradient needs a
scatter. A graph is cut into portions of atoms with like numbers of neighbours, which keeps the
padding small.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.atoms.graph import Graph
from app.atoms.ragged import ranges, starts_of
from app.atoms.structure import Booleans, Floats, Integers


@dataclass(frozen=True, slots=True)
class Slots:
    """n of a graph's atoms, with K >= 1 slots for the edges of each, some of them padding.

    Attributes:
        atoms: (n,) index of each atom in the graph.
        edges: (m,) index in the graph of the edge in each true slot, row by row.
        mask: (n, K) whether the slot holds an edge; after the atoms there may be rows of none.
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

        Returns:
            `species` (n,), `neighbor_species` and `mask` (n, K), and `edge_vectors` (n, K, 3), Å.
        """
        own_species = np.zeros(len(self.mask), dtype=np.int64)
        own_species[: len(self.atoms)] = species[self.atoms]
        neighbor_species = np.zeros(self.mask.shape, dtype=np.int64)
        edge_vectors = np.zeros((*self.mask.shape, 3), dtype=dtype)
        neighbor_species[self.mask] = species[self.graph.edge_index[1, self.edges]]
        edge_vectors[self.mask] = vectors.take(self.edges, axis=0)
        return {
            "species": own_species,
            "neighbor_species": neighbor_species,
            "edge_vectors": edge_vectors,
            "mask": self.mask,
        }

    def charges(self, dtype: np.dtype) -> dict[str, NDArray]:  # type: ignore[type-arg]
        """`charge` (n,): the total charge of each atom's structure, of a model that takes it."""
        charge = np.zeros(len(self.mask), dtype=dtype)
        charge[: len(self.atoms)] = self.graph.charge[self.graph.atom_structure[self.atoms]]
        return {"charge": charge}

    def padded(self, rows: int, slots: int) -> "Slots":
        """The same atoms and edges in so many rows of so many slots, no fewer than there are."""
        mask = np.zeros((rows, slots), dtype=bool)
        mask[: self.mask.shape[0], : self.mask.shape[1]] = self.mask
        return Slots(self.atoms, self.edges, mask, self.graph)

    def links(self) -> dict[str, Integers]:
        """What a message-passing model needs besides: each slot's neighbour and reverse edge.

        The portion must hold whole structures. Padded slots point to their own atom and slot.

        Returns:
            `neighbors` (n, K), the row of each slot's neighbour, and `reverse` (n, K), the slot of
            its reverse edge, counted row by row.
        """
        n, k = self.mask.shape
        atom_at = np.empty(len(self.graph.numbers), dtype=np.int64)
        atom_at[self.atoms] = np.arange(len(self.atoms))
        slot_at = np.empty(len(self.graph.edge_reverse), dtype=np.int64)
        slot_at[self.edges] = np.flatnonzero(self.mask)
        neighbors = np.repeat(np.arange(n), k).reshape(n, k)
        reverse = np.arange(n * k).reshape(n, k)
        neighbors[self.mask] = atom_at[self.graph.edge_index[1, self.edges]]
        reverse[self.mask] = slot_at[self.graph.edge_reverse[self.edges]]
        return {"neighbors": neighbors, "reverse": reverse}


def portions(
    graph: Graph, most_slots: int, whole_structures: bool, apart: bool = False
) -> list[Slots]:
    """Cut a graph into portions of at most `most_slots` slots.

    Only a single atom or structure may have more.

    Halo atoms have no energy to evaluate, so that they are in no portion of a strictly local model.

    Args:
        graph: the graph.
        most_slots: n * K of a portion.
        whole_structures: keep the atoms of a structure together, as a message-passing model needs.
        apart: put no atoms of two structures into one portion.
    """
    degree = np.bincount(graph.edge_index[0], minlength=len(graph.numbers))
    if whole_structures:
        starts = starts_of(graph.n_atoms)[:-1]
        sizes, slots = graph.n_atoms, np.maximum.reduceat(degree, starts)
    else:
        starts = np.flatnonzero(~graph.halo)
        sizes, slots = np.ones_like(starts), degree[starts]
    group = graph.atom_structure[starts] if apart else np.zeros_like(starts)
    order = np.lexsort((slots, group))
    cuts = _cuts(group[order], sizes[order], np.maximum(slots[order], 1), most_slots)
    return [
        _slots(graph, degree, ranges(starts[part], sizes[part])) for part in np.split(order, cuts)
    ]


def dense_edges(graph: Graph) -> Slots:
    """A whole graph as one portion."""
    degree = np.bincount(graph.edge_index[0], minlength=len(graph.numbers))
    return _slots(graph, degree, np.arange(len(degree)))


def _slots(graph: Graph, degree: Integers, atoms: Integers) -> Slots:
    lengths = degree[atoms]
    mask = np.arange(max(int(lengths.max()), 1)) < lengths[:, None]
    return Slots(atoms, ranges(starts_of(degree)[atoms], lengths), mask, graph)


def _cuts(groups: Integers, sizes: Integers, slots: Integers, most: int) -> list[int]:
    """Where to cut a list sorted by slots in each group, so that atoms × largest K <= `most`."""
    cuts: list[int] = []
    atoms, last = 0, None
    for i, (group, size, k) in enumerate(
        zip(groups.tolist(), sizes.tolist(), slots.tolist(), strict=True)
    ):
        if atoms and (group != last or (atoms + size) * k > most):
            cuts.append(i)
            atoms = 0
        atoms, last = atoms + size, group
    return cuts
