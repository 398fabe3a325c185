"""Layers: a structure that no memory holds, in files, layer by layer along one axis.

A layer with what is within some reach of it is a region (`app.atoms.regions`), periodic in the other
two directions where the structure is.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from app.atoms.neighbors import heights
from app.atoms.regions import Region
from app.atoms.structure import Floats, Integers, Structure, periodic_cell
from app.errors import StructureTooLarge
from app.formats.slabs import Source
from app.machine import free_memory
from app.space.spill import MOST_BINS, Spill

LAYER_ATOMS = 300_000
"""About as many are in a layer, if it need not be thinner than the reach for that."""
ATOM_BYTES = 400
"""Memory for each atom of a region while it is divided: about 300 were measured."""
ROW = np.dtype([("atom", "<i8"), ("number", "u1"), ("position", "<f8", (3,))])


class Window(NamedTuple):
    """A layer with its halo.

    Attributes:
        region: that its core is the layer's.
        layers: (n,) the layer of each of its atoms.
        rows: (n,) where it stands in that layer.
    """

    region: Region
    layers: Integers
    rows: Integers


class Layers:
    """The atoms of a source in layers; a context, at whose end its files are closed.

    Args:
        source: of the atoms; is read once, or twice where it is not periodic in all directions.
        reach: Å, of a halo.
        folder: for the files.
        most: atoms of a layer, about.

    Attributes:
        count: of layers.
        sizes: (count,) atoms in each.

    Raises:
        InputError: the source holds no structure.
        StructureTooLarge: the layers cannot be thin enough for memory.
    """

    def __init__(self, source: Source, reach: float, folder: Path, most: int = LAYER_ATOMS) -> None:
        self.whole = source.head.whole
        self._cell = periodic_cell(self.whole.cell, self.whole.pbc)
        self._inverse = np.linalg.inv(self._cell)
        low, span = self._extents(source)
        across = heights(self._cell)
        self._axis = axis = int(np.argmax(span * across))
        self._low, self._span = float(low[axis]), float(span[axis])
        self._width = reach / float(across[axis])
        thinnest = max(1, math.floor(self._span / self._width))
        wanted = math.ceil(self.whole.n_atoms / most)
        self.count = min(wanted, thinnest, MOST_BINS)
        self._check_memory(reach, float(across[axis]))
        self._spill = Spill(folder, "layer", self.count, ROW)
        try:
            for first, numbers, positions in _counted(source):
                self._add(first, numbers, positions)
        except BaseException:
            self.__exit__()
            raise
        self.sizes = self._spill.counts

    def __enter__(self) -> "Layers":
        return self

    def __exit__(self, *_: object) -> None:
        self._spill.__exit__()

    def windows(self) -> Iterator[Window]:
        """Each layer that has atoms, with its halo."""
        kept: dict[int, np.ndarray] = {}
        for layer in range(self.count):
            if not self.sizes[layer]:
                continue
            needed = self.needed(layer)
            kept = {
                each: kept[each] if each in kept else self._spill.read(each)
                for each in {place % self.count for place in needed}
            }
            yield self._window(layer, needed, kept)

    def needed(self, layer: int) -> list[int]:
        """The layers that a layer's window has atoms of; those of images go on beyond the count."""
        low, high = self._ends(layer)
        step = self._span / self.count
        first = math.floor((low - self._width - self._low) / step)
        last = math.floor((high + self._width - self._low) / step)
        if not self.whole.pbc[self._axis]:
            first, last = max(first, 0), min(last, self.count - 1)
        return list(range(first, last + 1))

    def atoms(self, layer: int) -> Integers:
        """(n,) which atom of the structure each row of a layer is."""
        atoms: Integers = self._spill.read(layer)["atom"]
        return atoms

    def _ends(self, layer: int) -> tuple[float, float]:
        step = self._span / self.count
        return self._low + layer * step, self._low + (layer + 1) * step

    def _window(self, layer: int, needed: list[int], rows: dict[int, np.ndarray]) -> Window:
        low, high = self._ends(layer)
        period = self._cell[self._axis]
        taken = []
        for place in (layer, *(each for each in needed if each != layer)):
            image, own = divmod(place, self.count)
            found = rows[own]
            fractions = found["position"] @ self._inverse[:, self._axis] + image
            near = (fractions >= low - self._width) & (fractions <= high + self._width)
            kept = np.flatnonzero(near | (place == layer))
            part = found[kept]
            part["position"] += image * period
            taken.append((part, np.full(len(kept), own), kept))
        atoms = np.concatenate([part for part, _, _ in taken])
        pbc = self.whole.pbc.copy()
        pbc[self._axis] = False
        positions = atoms["position"] - atoms["position"][0]
        cluster = Structure(atoms["number"].astype(np.int64), positions, self.whole.cell, pbc)
        return Window(
            Region(cluster, atoms["atom"], len(rows[layer]), self.whole),
            np.concatenate([layers for _, layers, _ in taken]),
            np.concatenate([kept for _, _, kept in taken]),
        )

    def _add(self, first: int, numbers: Integers, positions: Floats) -> None:
        along = positions @ self._inverse[:, self._axis]
        rows = np.empty(len(numbers), dtype=ROW)
        rows["atom"] = np.arange(first, first + len(numbers))
        rows["number"] = numbers
        rows["position"] = positions
        if self.whole.pbc[self._axis]:
            turns = np.floor(along)
            rows["position"] -= turns[:, None] * self._cell[self._axis]
            along = along - turns
        place = ((along - self._low) / self._span * self.count).astype(np.int64)
        self._spill.add(np.clip(place, 0, self.count - 1), rows)

    def _extents(self, source: Source) -> tuple[Floats, Floats]:
        """(3,) where fractional coordinates begin, and (3,) how far they go."""
        if self.whole.pbc.all():
            return np.zeros(3), np.ones(3)
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        for _, positions in source.slabs():
            fractions = positions @ self._inverse
            low, high = (
                np.minimum(low, fractions.min(axis=0)),
                np.maximum(high, fractions.max(axis=0)),
            )
        least = 1e-3 / heights(self._cell)
        low = np.where(self.whole.pbc, 0.0, low - least)
        high = np.where(self.whole.pbc, 1.0, high + least)
        return low, high - low

    def _check_memory(self, reach: float, height: float) -> None:
        thickness = self._span * height / self.count
        atoms = self.whole.n_atoms / self.count * (1.0 + 2.0 * reach / thickness)
        needed, free = atoms * ATOM_BYTES, free_memory()
        if needed > free:
            raise StructureTooLarge(
                f"a layer of {thickness:.3g} Å with {reach:.3g} Å on both sides has about {atoms:.1e} "
                f"atoms and takes {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free"
            )


def _counted(source: Source) -> Iterator[tuple[int, Integers, Floats]]:
    """The slabs of a source, each with the number of its first atom."""
    first = 0
    for slab in source.slabs():
        yield first, slab.numbers, slab.positions
        first += len(slab.numbers)
