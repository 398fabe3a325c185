"""A structure that no memory holds, evaluated layer by layer, from a source into columns.

Atoms go into layers by way of files (`app.space.layers`); each layer with its halo is divided over
the workers as any structure is; forces on atoms of other layers are added there, and a layer whose
neighbours are done goes, by way of files again, to the rows that its atoms have in the source. All
of this is linear in the atoms, and memory holds a few layers.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from app.atoms.regions import Region, parts, reach_of
from app.atoms.structure import Floats, Integers
from app.backends.geometry import Findings
from app.errors import UnsupportedElement
from app.formats.slabs import Head, Slab, Source, Writer
from app.space.evaluator import Answer, Transport
from app.space.layers import LAYER_ATOMS, Layers, Window
from app.space.spill import MOST_BINS, Spill, scratch
from app.store.card import ModelCard

BUCKET_ATOMS = 500_000
"""Rows that are put into the order of the source at a time."""
RESULT = np.dtype([("atom", "<i8"), ("energy", "<f8"), ("force", "<f8", (3,))])

Progress = Callable[[int, int], None]
"""Is told how many atoms are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What is said of the structure as a whole.

    Attributes:
        energy: eV.
        stress: (3, 3), eV/Å³; None of energies alone, and where it is not bulk.
        energy_variance: eV²; None of a model that does not estimate its errors.
        findings: what of the geometry the model's training data never held.
    """

    energy: float
    stress: Floats | None
    energy_variance: float | None
    findings: Findings


def stream(
    source: Source,
    output: Path,
    card: ModelCard,
    strictly_local: bool,
    transport: Transport,
    derivatives: bool = True,
    progress: Progress | None = None,
    layer_atoms: int = LAYER_ATOMS,
) -> Totals:
    """Evaluate a structure of any size.

    Args:
        source: of its atoms.
        output: a folder of columns that is not there yet; gets the atoms in their order, `energies`
            and, of derivatives, `forces`, and the totals in its head.
        card: of the model.
        strictly_local: whether it is.
        transport: what brings regions to its workers.
        derivatives: whether forces and stress are wanted, or energies alone.
        progress: is told how far it is.
        layer_atoms: atoms of a layer, about, of which memory holds some.

    Raises:
        InvalidRequest: the output is there already.
        InputError: the source holds no structure that the model can answer for.
        StructureTooLarge: memory does not hold a layer.
        BackendError: the model or a worker failed.
    """
    reach = reach_of(card.cutoff, card.receptive_field, strictly_local, derivatives)
    names = ("numbers", "positions", "energies", *(("forces",) if derivatives else ()))
    with Writer(output, source.head, names) as writer, scratch(output) as folder:
        copied = _Copied(source, card, writer)
        with Layers(copied, reach, folder, layer_atoms) as layers:
            work = _Work(layers, card.cutoff, reach, strictly_local)
            done = 0
            with _spill(folder, source.head.n_atoms) as spill:
                for region, answer in transport.answers(
                    work.regions(transport.workers), derivatives
                ):
                    for finished in work.take(answer):
                        _put(spill, finished, source.head.n_atoms)
                    done += region.core
                    if progress is not None:
                        progress(done, source.head.n_atoms)
                _write(spill, writer, source.head.n_atoms, derivatives)
        totals = work.totals()
        writer.results |= _told(card, totals)
    return totals


class _Copied:
    """A source whose atoms are checked, and copied to the output, while they are read."""

    def __init__(self, source: Source, card: ModelCard, writer: Writer) -> None:
        self._source, self._card, self._writer = source, card, writer

    @property
    def head(self) -> Head:
        return self._source.head

    def slabs(self) -> Iterator[Slab]:
        first = 0
        for slab in self._source.slabs():
            unknown = ~np.isin(slab.numbers, self._card.numbers)
            if unknown.any():
                atom = int(np.argmax(unknown))
                raise UnsupportedElement(
                    f"atom {first + atom} is {chemical_symbols[slab.numbers[atom]]}; model "
                    f"'{self._card.reference}' knows {', '.join(self._card.elements)}"
                )
            self._writer.write("numbers", first, slab.numbers)
            self._writer.write("positions", first, slab.positions)
            yield slab
            first += len(slab.numbers)


@dataclass(slots=True)
class _Layer:
    """What is known of a layer's atoms so far.

    Attributes:
        energies: (n,), eV.
        forces: (n, 3), eV/Å.
        waits: windows that may add to it, and are not done.
    """

    energies: Floats
    forces: Floats
    waits: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """A region that is under way.

    Attributes:
        window: that it is part of.
        own: (n,) its atoms in the window.
        core: how many of them are its core.
        last: whether it is the last one of the window.
    """

    window: Window
    own: Integers
    core: int
    last: bool


class _Work:
    """The regions of layers, and what their answers add up to."""

    def __init__(self, layers: Layers, cutoff: float, reach: float, strictly_local: bool) -> None:
        self._layers, self._cutoff, self._reach = layers, cutoff, reach
        self._strictly_local = strictly_local
        self._asked: deque[_Asked] = deque()
        self._open: dict[int, _Layer] = {}
        self._waits = np.zeros(layers.count, dtype=np.int64)
        for layer in np.flatnonzero(layers.sizes).tolist():
            for other in self._touched(layer):
                self._waits[other] += 1
        self._energy = 0.0
        self._variance: float | None = None
        self._stress: Floats | None = None
        self._findings = Findings()

    def regions(self, workers: int) -> Iterator[Region]:
        """All regions, one window after the other."""
        for window in self._layers.windows():
            whole = np.arange(len(window.layers)), window.region
            divided = (
                [whole]
                if workers == 1
                else list(parts(window.region, workers, self._cutoff, self._reach))
            )
            for index, (own, region) in enumerate(divided):
                last = index == len(divided) - 1
                self._asked.append(_Asked(window, own, region.core, last))
                yield region

    def take(self, answer: Answer) -> Iterator[tuple[Integers, _Layer]]:
        """Add the answer of the region that was asked for first; the layers that it completes."""
        asked = self._asked.popleft()
        self._findings.add(answer.findings)
        predicted = answer.prediction
        self._energy += predicted.energy
        if predicted.energy_variance is not None:
            self._variance = predicted.energy_variance + (self._variance or 0.0)
        if predicted.stress is not None:
            self._stress = predicted.stress + (0.0 if self._stress is None else self._stress)
        layers, rows = asked.window.layers[asked.own], asked.window.rows[asked.own]
        home = int(layers[0])
        self._layer(home).energies[rows[: asked.core]] = predicted.energies[: asked.core]
        if predicted.forces is not None:
            self._add_forces(layers, rows, asked.core, predicted.forces)
        if asked.last:
            yield from self._finished(home)

    def totals(self) -> Totals:
        """Of all answers."""
        return Totals(self._energy, self._stress, self._variance, self._findings)

    def _add_forces(self, layers: Integers, rows: Integers, core: int, forces: Floats) -> None:
        if not self._strictly_local:
            self._layer(int(layers[0])).forces[rows[:core]] = forces[:core]
            return
        for layer in np.unique(layers).tolist():
            sums, among = self._layer(layer).forces, layers == layer
            for axis in range(3):
                sums[:, axis] += np.bincount(rows[among], forces[among, axis], len(sums))

    def _layer(self, layer: int) -> _Layer:
        if layer not in self._open:
            n = int(self._layers.sizes[layer])
            self._open[layer] = _Layer(np.zeros(n), np.zeros((n, 3)), int(self._waits[layer]))
        return self._open[layer]

    def _touched(self, layer: int) -> set[int]:
        return {place % self._layers.count for place in self._layers.needed(layer)}

    def _finished(self, layer: int) -> Iterator[tuple[Integers, _Layer]]:
        """The layers that have all, now that a window is done."""
        for other in sorted(self._touched(layer)):
            if not self._layers.sizes[other]:
                continue
            self._layer(other).waits -= 1
            if not self._open[other].waits:
                yield self._layers.atoms(other), self._open.pop(other)


def _spill(folder: Path, n_atoms: int) -> Spill:
    return Spill(folder, "result", min(MOST_BINS, -(-n_atoms // BUCKET_ATOMS)), RESULT)


def _bucket(spill: Spill, n_atoms: int) -> int:
    """Atoms of each of its bins."""
    return -(-n_atoms // len(spill.counts))


def _put(spill: Spill, finished: tuple[Integers, _Layer], n_atoms: int) -> None:
    atoms, layer = finished
    rows = np.empty(len(atoms), dtype=RESULT)
    rows["atom"], rows["energy"], rows["force"] = atoms, layer.energies, layer.forces
    spill.add(atoms // _bucket(spill, n_atoms), rows)


def _write(spill: Spill, writer: Writer, n_atoms: int, derivatives: bool) -> None:
    """Write the results in the order of the source."""
    size = _bucket(spill, n_atoms)
    for index in range(len(spill.counts)):
        rows = spill.read(index)
        order = np.argsort(rows["atom"], kind="stable")
        writer.write("energies", index * size, rows["energy"][order])
        if derivatives:
            writer.write("forces", index * size, rows["force"][order])


def _told(card: ModelCard, totals: Totals) -> dict[str, Any]:
    """The totals as they stand in the output's head."""
    told: dict[str, Any] = {"model": card.reference, "energy": totals.energy}
    if totals.stress is not None:
        told["stress"] = totals.stress.tolist()
    if totals.energy_variance is not None:
        told["energy_std"] = float(np.sqrt(totals.energy_variance))
    return told
