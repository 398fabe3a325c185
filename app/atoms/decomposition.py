"""Pieces: a structure too large for one evaluation, cut into blocks that add up to it.

Let c be the cutoff and R the receptive field: the energy E_k of an atom depends on atoms within R
of it. A piece is a block of atoms, its core, with all atoms and images within some halo of it. Each
atom is in one core. Which halo makes the sum exact depends on the model:

- *Strictly local* (R = c, and E_i depends on the edges centred at i alone): the piece has the edges
  centred at its core, and a halo of c so that these are all. Its energies and its gradients g_ij =
  ∂E_i/∂r_ij are then those of the whole. Since each edge of the structure is in one piece, every
  sum over edges is the sum over the pieces: the forces F_a = Σ_j g_aj − Σ_j g_ja, where a piece
  adds to the atoms of its halo, too, and dE/dstrain = Σ r_ij ⊗ g_ij. Nothing is evaluated twice.
- *Message passing*: the piece has all edges among its atoms. E_k is exact for each k whose
  receptive field lies in the piece. Energies alone need a halo of R. But the force on an atom of
  the core is the gradient of all E_k within R of it, and an artifact differentiates the sum of all
  energies, those of a cut-off rim included. Each of these E_k needs R around it, so that with
  derivatives the halo is 2 R; then F_a, and g_ij of the edges centred at the core, are exact, and
  no E_k that is not has any part in them. What the halo itself gets is dropped.

A block is half of a larger one, cut across its longest side at the median, so that all have about
the same number of atoms in a crystal, a slab or a cluster alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from app.atoms.blocks import halved
from app.atoms.graph import Graph
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction
from app.atoms.properties import STORED, Property
from app.atoms.ragged import starts_of
from app.atoms.regions import Region, Vicinity, reach_of
from app.atoms.structure import MIN_DISTANCE, Floats, Integers, Structure
from app.errors import AtomsTooClose, StructureTooLarge


class Part(Protocol):
    """Some of a structure's atoms, for which there is a prediction: a piece, or a region."""

    @property
    def atoms(self) -> Integers:
        """(n,) which atom of the structure each is; those of the core first."""
        ...

    @property
    def core(self) -> int:
        """How many atoms the core has."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A block of a structure with its halo.

    Attributes:
        graph: the core's atoms, then those of the halo, where several may be images of one atom. In
            the structure's cell, so that its stress is its share of the structure's.
        atoms: (n,) which atom of the structure, or of the region that was cut, each of the graph's
            is.
        core: how many atoms the core has.
        edges: how many edges are centred at the core; those of all pieces are those of the
            structure.
    """

    graph: Graph
    atoms: Integers
    core: int
    edges: int

    @classmethod
    def whole(cls, graph: Graph) -> Self:
        """The piece that is all of a structure."""
        count = len(graph.numbers)
        return cls(graph, np.arange(count), count, len(graph.edge_reverse))


class Cutter:
    """The pieces of one region, made one after the other, so that one at a time is in memory.

    Args:
        region: what to cut, all of a structure or some of it.
        cutoff: Å, of the model.
        receptive_field: Å, of the model.
        strictly_local: whether the model is.
        most_atoms: of a core.
        most_edges: of the search for one piece.
        fits: whether a piece is small enough; halved if not, down to one atom.
        derivatives: whether forces and stress are wanted, or energies alone.

    Raises:
        AtomsTooClose: an atom's image is on the atom; names it.
    """

    def __init__(
        self,
        region: Region,
        cutoff: float,
        receptive_field: float,
        strictly_local: bool,
        most_atoms: int,
        most_edges: int,
        fits: Callable[[Graph], bool],
        derivatives: bool = True,
    ) -> None:
        self._region = region
        self._cutoff = cutoff
        self._strictly_local = strictly_local
        self._most_atoms = most_atoms
        self._most_edges = most_edges
        self._fits = fits
        self._vicinity = Vicinity(
            region, reach_of(cutoff, receptive_field, strictly_local, derivatives)
        )
        self._blocks = [np.arange(region.core)]

    def next(self) -> Piece | None:
        """The next piece; None after the last.

        Raises:
            AtomsTooClose: two atoms are too close; names both.
            StructureTooLarge: one atom has more neighbours than can be searched for.
        """
        while self._blocks:
            block = self._blocks.pop()
            if len(block) > self._most_atoms:
                self._halve(block)
                continue
            piece = self._piece(block)
            if piece is not None:
                return piece
        return None

    def put_back(self, piece: Piece) -> None:
        """Have a piece come again, in smaller ones where it no longer fits."""
        self._blocks.append(piece.atoms[: piece.core])

    def _halve(self, block: Integers) -> None:
        first, second = halved(self._vicinity.fractions[block], self._vicinity.heights)
        self._blocks += [block[second], block[first]]

    def _piece(self, block: Integers) -> Piece | None:
        """The piece around a block; None where the block had to be halved."""
        atoms, cluster = self._vicinity.around(block)
        try:
            graph = build_graph(cluster, self._cutoff, self._most_edges)
        except StructureTooLarge:
            if len(block) == 1:
                raise
            self._halve(block)
            return None
        except AtomsTooClose as error:
            raise self._named(error, cluster, atoms) from None
        piece = self._of(graph, atoms, len(block))
        if len(block) > 1 and not self._fits(piece.graph):
            self._halve(block)
            return None
        return piece

    def _named(self, error: AtomsTooClose, cluster: Structure, atoms: Integers) -> AtomsTooClose:
        """The error with the names that the atoms have in the structure."""
        if self._region.core == len(self._region.cluster):
            build_graph(self._region.cluster, MIN_DISTANCE)  # says the same, images told apart
        from scipy.spatial import cKDTree

        pair = min(cKDTree(cluster.positions).query_pairs(MIN_DISTANCE), default=None)
        if pair is None:
            return error
        first, second = (
            f"atom {self._region.atoms[atoms[i]]} ({cluster.symbols[i]})" for i in sorted(pair)
        )
        distance = float(np.linalg.norm(np.subtract(*cluster.positions[list(pair)])))
        return AtomsTooClose(
            f"{first} and {second}, or images of them, are {distance:.3g} Å apart, and at least "
            f"{MIN_DISTANCE} Å is needed; move or remove one of them, or check the cell and the "
            "unit of lengths"
        )

    def _of(self, graph: Graph, atoms: Integers, core: int) -> Piece:
        """The piece of a cluster's graph, with the edges and atoms that it needs."""
        own = int(np.searchsorted(graph.edge_index[0], core))
        kept = own if self._strictly_local else len(graph.edge_reverse)
        reverse = graph.edge_reverse[:kept]
        needed = np.zeros(len(atoms), dtype=bool)
        needed[:core] = True
        needed[graph.edge_index[1, :kept]] = True
        rank = starts_of(needed)
        count = int(rank[-1])
        whole = self._region.whole
        part = Graph(
            numbers=graph.numbers[needed],
            positions=graph.positions[needed],
            cell=whole.cell[None],
            pbc=whole.pbc[None],
            edge_index=rank[graph.edge_index[:, :kept]],
            edge_shift=graph.edge_shift[:kept],
            edge_reverse=np.where(reverse < kept, reverse, np.arange(kept)),
            n_atoms=np.array([count]),
            n_whole=np.array([whole.n_atoms]),
            n_edges=np.array([kept]),
            charge=np.array([whole.charge]),
            multiplicity=np.array([whole.multiplicity]),
            halo=np.arange(count) >= core,
        )
        return Piece(part, atoms[needed], core, own)


class Assembly:
    """What the pieces of a structure add up to, in float64.

    Args:
        n_atoms: of the structure, or region, that was cut.
        strictly_local: whether the model is.
    """

    def __init__(self, n_atoms: int, strictly_local: bool) -> None:
        self._n_atoms = n_atoms
        self._strictly_local = strictly_local
        self._values: dict[str, Any] = {}

    def add(self, piece: Part, predicted: StructurePrediction) -> None:
        """Add what was predicted for a piece: derivatives of all pieces, or of none."""
        for row in STORED:
            values = getattr(predicted, row.name)
            if values is None:
                continue
            if row.pieces == "sum":
                self._values[row.name] = values + self._values.get(row.name, 0.0)
            else:
                self._add_atoms(row, piece, values)

    def _add_atoms(self, row: Property, piece: Part, values: Floats) -> None:
        """Write (..., n, ...) values of a piece's atoms where they belong."""
        axis = int(row.members)
        if row.name not in self._values:
            shape = (*values.shape[:axis], self._n_atoms, *values.shape[axis + 1 :])
            self._values[row.name] = np.zeros(shape)
        whole, part = np.moveaxis(self._values[row.name], axis, 0), np.moveaxis(values, axis, 0)
        if row.pieces == "edges" and self._strictly_local:
            np.add.at(whole, piece.atoms, part)
        else:
            whole[piece.atoms[: piece.core]] = part[: piece.core]

    def prediction(self) -> StructurePrediction:
        """The structure's own prediction, after all pieces."""
        return StructurePrediction(**self._values)
