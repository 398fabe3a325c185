"""Regions: parts of a structure that can be evaluated by themselves, anywhere.

A region is a block of atoms, its core, with all atoms and images within some reach of it, as an
open cluster. What is asked of a core can be computed from its region alone, so that regions go to
other processes and machines, and of a structure that no memory holds one is read after the other.
A region is divided into smaller ones; `app.atoms.decomposition` cuts it into pieces for a backend,
and says why which reach makes the sum exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np

from app.atoms.blocks import Bins, divided, edge_weights
from app.atoms.neighbors import check_lattice, heights, search_cell
from app.atoms.structure import Booleans, Floats, Integers, Structure

ROUNDING = 1e-6
"""Å added to a reach, so that no neighbour is lost to rounding."""


def reach_of(
    cutoff: float, receptive_field: float, strictly_local: bool, derivatives: bool
) -> float:
    """Å: how far around a core its atoms must be known; see `app.atoms.decomposition`."""
    field = cutoff if strictly_local else (1 + derivatives) * receptive_field
    return field + ROUNDING


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """What the parts of a structure know of it.

    Attributes:
        n_atoms: how many atoms it has.
        cell: (3, 3), Å, rows are lattice vectors.
        pbc: (3,) whether it repeats along each.
        charge: total charge, in elementary charges.
        multiplicity: 2S+1; 0 where it was not given.
    """

    n_atoms: int
    cell: Floats
    pbc: Booleans
    charge: int = 0
    multiplicity: int = 0

    @classmethod
    def of(cls, structure: Structure) -> Self:
        """What the parts of a structure know of it."""
        stated = structure.charge, structure.multiplicity or 0
        return cls(len(structure), structure.cell, structure.pbc, *stated)


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A block of a structure's atoms, its core, with all that is around them.

    Attributes:
        cluster: the core's atoms, then those of the halo, where several may be images of one atom. It
            is open, except in directions in which the region is all of a periodic structure.
        atoms: (n,) which atom of the structure each of them is.
        core: how many atoms the core has.
        whole: the structure.
    """

    cluster: Structure
    atoms: Integers
    core: int
    whole: Whole

    @classmethod
    def of(cls, structure: Structure) -> Self:
        """The region that is all of a structure."""
        return cls(structure, np.arange(len(structure)), len(structure), Whole.of(structure))


class Vicinity:
    """The atoms of a region by where they are, so that what is around a block of them is found in
    time that grows with the block, and not with the region.

    Args:
        region: where they are.
        reach: Å.

    Attributes:
        fractions: (n, 3) fractional coordinates, in [0, 1) where periodic.
        heights: (3,), Å, of the cell that they are fractions of.
    """

    def __init__(self, region: Region, reach: float) -> None:
        self._structure = region.cluster
        self._cell, combination = search_cell(self._structure)
        check_lattice(self._structure, self._cell, combination)
        self.heights = heights(self._cell)
        self.fractions, self._wraps = _wrapped(self._structure, self._cell)
        self._widths = reach / self.heights
        self._bins = Bins(self.fractions, self._widths)

    def around(self, block: Integers) -> tuple[Integers, Structure]:
        """A block of atoms with what is in reach of its box.

        Returns:
            (m,) indices of its atoms, then of the halo's, in the region; and all of them as a
            cluster, near the origin, where nothing loses digits.
        """
        low = self.fractions[block].min(axis=0) - self._widths
        high = self.fractions[block].max(axis=0) + self._widths
        own = np.zeros(len(self.fractions), dtype=bool)
        own[block] = True
        atoms, cells = [block], [np.zeros((len(block), 3))]
        for cell in product(*(self._cells(low, high, axis) for axis in range(3))):
            found = self._bins.within(low - cell, high - cell)
            if not any(cell):
                found = found[~own[found]]
            atoms.append(found)
            cells.append(np.broadcast_to(np.array(cell, dtype=float), (len(found), 3)))
        every = np.concatenate(atoms)
        shifts = np.concatenate(cells) - self._wraps[every]
        positions = self._structure.positions[every] + shifts @ self._cell
        return every, Structure(self._structure.numbers[every], positions - positions[0])

    def _cells(self, low: Floats, high: Floats, axis: int) -> range:
        if not self._structure.pbc[axis]:
            return range(1)
        return range(int(np.floor(low[axis])), int(np.floor(high[axis])) + 1)


def divide(region: Region, count: int, cutoff: float, reach: float) -> Iterator[Region]:
    """The regions of `parts`."""
    for _, part in parts(region, count, cutoff, reach):
        yield part


def parts(
    region: Region, count: int, cutoff: float, reach: float
) -> Iterator[tuple[Integers, Region]]:
    """Smaller regions, whose cores are that of a region, with about equally many edges each.

    Args:
        region: of which the core is divided.
        count: of regions; fewer are made of fewer atoms.
        cutoff: Å, of the model.
        reach: Å, as of `reach_of`; that of the region is no smaller.

    Yields:
        (n,) which of the region's atoms it has; and the smaller region.

    Raises:
        AtomsTooClose: an atom's image is on the atom; names it.
    """
    vicinity = Vicinity(region, reach)
    of_core = vicinity.fractions[: region.core]
    weights = edge_weights(vicinity.fractions, vicinity.heights, region.cluster.pbc, cutoff)
    for block in divided(of_core, vicinity.heights, weights[: region.core], count):
        atoms, cluster = vicinity.around(block)
        yield atoms, Region(cluster, region.atoms[atoms], len(block), region.whole)


def _wrapped(structure: Structure, cell: Floats) -> tuple[Floats, Integers]:
    """(N, 3) fractional coordinates, in [0, 1) where periodic; (N, 3) cells they were in."""
    fractions = structure.positions @ np.linalg.inv(cell)
    cells = np.where(structure.pbc, np.floor(fractions), 0.0)
    return fractions - cells, cells.astype(np.int64)
