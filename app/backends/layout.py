"""The dense edge layout that exported models take: K slots for the neighbours of each atom.

Sums over neighbours become sums over an axis, and the gradient needs no scatter: what flows to an atom from
its neighbours is gathered through `reverse`.
"""

from dataclasses import dataclass

import numpy as np

from app.graph import Graph
from app.structure import Booleans, Floats, Integers


@dataclass(frozen=True, slots=True)
class DenseEdges:
    """Edges of N atoms in K slots an atom, K >= 1; padded slots are False in `mask`.

    Attributes:
        edge_vectors: (N, K, 3), Å, r_ij from centre to neighbour; zeros where padded.
        neighbors: (N, K) index of the neighbour; the atom itself where padded.
        mask: (N, K) whether the slot holds an edge.
        reverse: (N, K) flat slot (index into N * K) of the reverse edge; the slot itself where padded.
    """

    edge_vectors: Floats
    neighbors: Integers
    mask: Booleans
    reverse: Integers


def dense_edges(graph: Graph) -> DenseEdges:
    """Lay a graph's edges out in slots; K is the largest number of neighbours in the graph."""
    n = len(graph.numbers)
    centre, neighbour = graph.edge_index
    counts = np.bincount(centre, minlength=n)
    k = max(int(counts.max()), 1)
    slots = np.arange(len(centre)) + np.repeat(np.arange(n) * k - (np.cumsum(counts) - counts), counts)

    mask = np.zeros(n * k, dtype=bool)
    vectors = np.zeros((n * k, 3))
    neighbors = np.repeat(np.arange(n), k)
    reverse = np.arange(n * k)
    mask[slots] = True
    vectors[slots] = graph.edge_vectors()
    neighbors[slots] = neighbour
    reverse[slots] = slots[graph.edge_reverse]
    return DenseEdges(vectors.reshape(n, k, 3), neighbors.reshape(n, k), mask.reshape(n, k), reverse.reshape(n, k))
