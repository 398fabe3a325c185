"""Graph: the disjoint union of one or more structures with their edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from app.atoms.ragged import rows_of, starts_of
from app.atoms.structure import Booleans, Floats, Integers


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Atoms of B >= 1 structures and the directed edges between atoms within a cutoff.

    Every pair stands twice, once from each end. Edges are sorted by centre, and the structures'
    atoms and edges follow each other in the order of the structures. An edge points from its centre
    i to its neighbour j: r_ij = R_j + shift @ cell − R_i.

    A piece of a structure (`app.atoms.decomposition`) has halo atoms besides its own: they are
    there as neighbours, and what energy they have is not counted. In a strictly local model's piece
    they are no centres, so that the reverse of an edge to one of them is missing.

    Attributes:
        numbers: (N,) atomic numbers.
        positions: (N, 3), Å.
        cell: (B, 3, 3), Å, rows are lattice vectors; zeros along directions without one.
        pbc: (B, 3) periodicity.
        edge_index: (2, E) centre i and neighbour j of each edge.
        edge_shift: (E, 3) integer lattice translations of the neighbour.
        edge_reverse: (E,) the edge j -> i that belongs to each edge i -> j; the edge itself where
            that is missing.
        n_atoms: (B,) atoms of each structure.
        n_whole: (B,) the same, and of a piece the atoms of the structure that was cut.
        n_edges: (B,) edges of each structure.
        charge: (B,) total charges, in elementary charges.
        multiplicity: (B,) spin multiplicities 2S+1; 0 where not given.
        halo: (N,) whether the atom belongs to a halo.
    """

    numbers: Integers
    positions: Floats
    cell: Floats
    pbc: Booleans
    edge_index: Integers
    edge_shift: Integers
    edge_reverse: Integers
    n_atoms: Integers
    n_whole: Integers
    n_edges: Integers
    charge: Integers
    multiplicity: Integers
    halo: Booleans

    @property
    def atom_structure(self) -> Integers:
        """(N,) index of the structure to which each atom belongs."""
        return rows_of(self.n_atoms)

    def edge_vectors(self) -> Floats:
        """(E, 3), Å: r_ij, from the centre to the image of the neighbour, in float64."""
        centre, neighbour = self.edge_index
        vectors: Floats = self.positions.take(neighbour, axis=0) - self.positions.take(
            centre, axis=0
        )
        shift = self.edge_shift
        if (
            self.pbc.any()
            and (crossing := np.flatnonzero(shift[:, 0] | shift[:, 1] | shift[:, 2])).size
        ):
            vectors[crossing] += self._translations(crossing)
        # no -0.0, whose fate would depend on whether anything in the batch has a cell
        vectors += 0.0
        return vectors

    def _translations(self, edges: Integers) -> Floats:
        """(n, 3), Å: shift @ cell of some edges.

        Added up in the same order whatever else is in the graph.
        """
        structure = rows_of(self.n_edges)[edges]
        shift, cell = self.edge_shift[edges].astype(np.float64), self.cell[structure]
        translations: Floats = shift[:, :1] * cell[:, 0]
        for axis in (1, 2):
            translations += shift[:, axis, None] * cell[:, axis]
        return translations

    def sum_by_centre(self, values: Floats) -> Floats:
        """(N, ...) sums of (E, ...) values over the edges of each centre; zero without edges."""
        centre = self.edge_index[0]
        sums = np.zeros((len(self.numbers), *values.shape[1:]))
        if len(centre):
            first = np.flatnonzero(np.diff(centre, prepend=-1))
            sums[centre[first]] = np.add.reduceat(values, first, axis=0)
        return sums

    def sum_by_neighbour(self, vectors: Floats) -> Floats:
        """(N, 3) sums of (E, 3) vectors over the edges that point to each atom."""
        count = len(self.numbers)
        columns = [np.bincount(self.edge_index[1], vectors[:, axis], count) for axis in range(3)]
        return np.stack(columns, axis=1)

    def volumes(self) -> Floats:
        """(B,), Å³; NaN where a structure is not periodic in all three directions."""
        volumes: Floats = np.where(self.pbc.all(axis=1), np.abs(np.linalg.det(self.cell)), np.nan)
        return volumes


def collate(graphs: Sequence[Graph]) -> Graph:
    """The disjoint union of graphs, in their order.

    Raises:
        ValueError: if there is no graph.
    """
    if not graphs:
        raise ValueError("collate needs at least one graph")
    if len(graphs) == 1:
        return graphs[0]
    atoms = starts_of([len(g.numbers) for g in graphs])[:-1]
    edges = starts_of([len(g.edge_reverse) for g in graphs])[:-1]

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(g, name) for g in graphs])

    return Graph(
        numbers=joined("numbers"),
        positions=joined("positions"),
        cell=joined("cell"),
        pbc=joined("pbc"),
        edge_index=np.concatenate(
            [g.edge_index + o for g, o in zip(graphs, atoms, strict=True)], axis=1
        ),
        edge_shift=joined("edge_shift"),
        edge_reverse=np.concatenate(
            [g.edge_reverse + o for g, o in zip(graphs, edges, strict=True)]
        ),
        n_atoms=joined("n_atoms"),
        n_whole=joined("n_whole"),
        n_edges=joined("n_edges"),
        charge=joined("charge"),
        multiplicity=joined("multiplicity"),
        halo=joined("halo"),
    )


def separate(graph: Graph) -> list[Graph]:
    """The graphs of the B structures by themselves; what `collate` joined."""
    atoms, edges = (starts_of(n).tolist() for n in (graph.n_atoms, graph.n_edges))
    if len(graph.n_atoms) == 1:
        return [graph]
    return [
        Graph(
            numbers=graph.numbers[a:b],
            positions=graph.positions[a:b],
            cell=graph.cell[i : i + 1],
            pbc=graph.pbc[i : i + 1],
            edge_index=graph.edge_index[:, e:f] - a,
            edge_shift=graph.edge_shift[e:f],
            edge_reverse=graph.edge_reverse[e:f] - e,
            n_atoms=graph.n_atoms[i : i + 1],
            n_whole=graph.n_whole[i : i + 1],
            n_edges=graph.n_edges[i : i + 1],
            charge=graph.charge[i : i + 1],
            multiplicity=graph.multiplicity[i : i + 1],
            halo=graph.halo[a:b],
        )
        for i, ((a, b), (e, f)) in enumerate(zip(pairwise(atoms), pairwise(edges), strict=True))
    ]
