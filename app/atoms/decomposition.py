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
from itertools import product
from typing import Any, Self

import numpy as np

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graph, check_lattice, heights, search_cell
from app.atoms.prediction import StructurePrediction
from app.atoms.properties import STORED, Property
from app.atoms.ragged import starts_of
from app.atoms.structure import MIN_DISTANCE, Booleans, Floats, Integers, Structure
from app.errors import AtomsTooClose, StructureTooLarge

ROUNDING = 1e-6
"""Å added to a halo, so that no neighbour is lost to rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A block of a structure with its halo.

    Attributes:
        graph: the core's atoms, then those of the halo, where several may be images of one atom. In
            the structure's cell, so that its stress is its share of the structure's.
        atoms: (n,) which atom of the structure each of the graph's is.
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
    """The pieces of one structure, made one after the other, so that one at a time is in memory.

    Args:
        structure: what to cut.
        cutoff: Å, of the model.
        receptive_field: Å, of the model.
        strictly_local: whether the model is.
        most_atoms: of a core.
        most_edges: of the search for one piece.
        fits: whether a piece is small enough; halved if not, down to one atom.
        derivatives: whether forces and stress are wanted, or energies alone.
    """

    def __init__(
        self,
        structure: Structure,
        cutoff: float,
        receptive_field: float,
        strictly_local: bool,
        most_atoms: int,
        most_edges: int,
        fits: Callable[[Graph], bool],
        derivatives: bool = True,
    ) -> None:
        self._structure = structure
        self._cutoff = cutoff
        self._reach = (cutoff if strictly_local else (1 + derivatives) * receptive_field) + ROUNDING
        self._strictly_local = strictly_local
        self._most_atoms = most_atoms
        self._most_edges = most_edges
        self._fits = fits
        self._cell, combination = search_cell(structure)
        check_lattice(structure, self._cell, combination)
        self._heights = heights(self._cell)
        self._fractions, self._wraps = _wrapped(structure, self._cell)
        self._blocks = [np.arange(len(structure))]

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
        axis = int(np.argmax(np.ptp(self._fractions[block], axis=0) * self._heights))
        order = np.argpartition(self._fractions[block, axis], len(block) // 2)
        self._blocks += [block[order[len(block) // 2 :]], block[order[: len(block) // 2]]]

    def _piece(self, block: Integers) -> Piece | None:
        """The piece around a block; None where the block had to be halved."""
        halo, shifts = self._halo(block)
        atoms = np.concatenate([block, halo])
        shifts = np.concatenate([np.zeros((len(block), 3)), shifts]) - self._wraps[atoms]
        positions = self._structure.positions[atoms] + shifts @ self._cell
        positions -= positions[0]  # a piece far from the origin keeps its digits
        try:
            cluster = Structure(self._structure.numbers[atoms], positions)
            graph = build_graph(cluster, self._cutoff, self._most_edges)
        except StructureTooLarge:
            if len(block) == 1:
                raise
            self._halve(block)
            return None
        except AtomsTooClose:
            build_graph(self._structure, MIN_DISTANCE)  # says the same of the structure's own atoms
            raise
        piece = self._of(graph, atoms, len(block))
        if len(block) > 1 and not self._fits(piece.graph):
            self._halve(block)
            return None
        return piece

    def _halo(self, block: Integers) -> tuple[Integers, Integers]:
        """(M,) atoms and (M, 3) cells of the images in reach of a block's box, less the block."""
        low = self._fractions[block].min(axis=0) - self._reach / self._heights
        high = self._fractions[block].max(axis=0) + self._reach / self._heights
        atoms, cells = [], []
        for cell in product(*(self._cells(low, high, axis) for axis in range(3))):
            inside = self._inside(low - cell, high - cell)
            if not any(cell):
                inside[block] = False
            atoms.append(np.flatnonzero(inside))
            cells.append(np.broadcast_to(np.array(cell), (len(atoms[-1]), 3)))
        return np.concatenate(atoms), np.concatenate(cells)

    def _cells(self, low: Floats, high: Floats, axis: int) -> range:
        if not self._structure.pbc[axis]:
            return range(1)
        return range(int(np.floor(low[axis])), int(np.floor(high[axis])) + 1)

    def _inside(self, low: Floats, high: Floats) -> Booleans:
        inside = np.ones(len(self._fractions), dtype=bool)
        for axis in range(3):
            along = self._fractions[:, axis]
            inside &= (along >= low[axis]) & (along <= high[axis])
        return inside

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
        whole = self._structure
        part = Graph(
            numbers=graph.numbers[needed],
            positions=graph.positions[needed],
            cell=whole.cell[None],
            pbc=whole.pbc[None],
            edge_index=rank[graph.edge_index[:, :kept]],
            edge_shift=graph.edge_shift[:kept],
            edge_reverse=np.where(reverse < kept, reverse, np.arange(kept)),
            n_atoms=np.array([count]),
            n_whole=np.array([len(whole)]),
            n_edges=np.array([kept]),
            charge=np.array([whole.charge]),
            multiplicity=np.array([whole.multiplicity or 0]),
            halo=np.arange(count) >= core,
        )
        return Piece(part, atoms[needed], core, own)


class Assembly:
    """What the pieces of a structure add up to, in float64.

    Args:
        structure: that was cut.
        strictly_local: whether the model is.
    """

    def __init__(self, structure: Structure, strictly_local: bool) -> None:
        self._n_atoms = len(structure)
        self._strictly_local = strictly_local
        self._values: dict[str, Any] = {}

    def add(self, piece: Piece, predicted: StructurePrediction) -> None:
        """Add what was predicted for a piece: derivatives of all pieces, or of none."""
        for row in STORED:
            values = getattr(predicted, row.name)
            if values is None:
                continue
            if row.pieces == "sum":
                self._values[row.name] = values + self._values.get(row.name, 0.0)
            else:
                self._add_atoms(row, piece, values)

    def _add_atoms(self, row: Property, piece: Piece, values: Floats) -> None:
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


def _wrapped(structure: Structure, cell: Floats) -> tuple[Floats, Integers]:
    """(N, 3) fractional coordinates, in [0, 1) where periodic; (N, 3) cells they were in."""
    fractions = structure.positions @ np.linalg.inv(cell)
    cells = np.where(structure.pbc, np.floor(fractions), 0.0)
    return fractions - cells, cells.astype(np.int64)
