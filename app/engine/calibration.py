"""Calibration: how long a model takes for a batch of made-up structures, and what memory.

The duration of a batch is taken to be linear, seconds = base + atom · atoms + edge · edges, fitted
to the relative deviations with coefficients that are not negative. The batch to aim at is the
smallest that reaches `ENOUGH` of the best throughput measured: a larger one makes everybody wait
longer and gains next to nothing. On a processor that is busy with other things, as at the start of
many services, what counts is the processor's time rather than the clock's.
"""

import math
import threading
import time
from collections.abc import Generator, Sequence
from itertools import chain, combinations
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from app.atoms.graph import Graph, collate
from app.atoms.neighbors import build_graph
from app.backends import Backend
from app.backends.synthetic import lattice_piece
from app.engine.budget import Cost, Speed
from app.errors import OutOfMemory
from app.machine import peak_memory

ENOUGH = 0.95
"""Share of the best throughput that is worth no larger batch."""
KINDS = ((21, False), (64, True))
"""Atoms and periodicity of batches: a molecule and, with more edges an atom, a crystal."""
MOST_STRUCTURES = 4096
LEAST_STRUCTURES = 8
"""No smaller batch is aimed at: so many share what one costs besides the backend."""
EFFORTS = {"quick": (0.06, 2), "thorough": (1.0, 5)}
"""Seconds beyond which no larger batch is measured, and how often each is."""

Effort = Literal["quick", "thorough"]

_ALONE = threading.Lock()  # models that are measured at the same time take turns


class Measurement(BaseModel):
    """One batch that was measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    structures: int
    atoms: int
    edges: int
    seconds: float = Field(description="the shortest of several runs")
    peak: int = Field(description="bytes, the most resident memory of the process so far")


class CalibrationKey(BaseModel):
    """What a calibration holds for: a model on a device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str = Field(description="sha256 of the model's card")
    device: str
    threads: int
    runtime: str = Field(description="name and version of what computes")


class Calibration(BaseModel):
    """What was measured of a model on a device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: CalibrationKey
    effort: Effort
    base: float = Field(ge=0, description="s a batch")
    atom: float = Field(ge=0, description="s an atom")
    edge: float = Field(ge=0, description="s an edge")
    best: Measurement = Field(
        description="the smallest batch of molecules with almost the best throughput"
    )
    bytes_per_edge: float | None = Field(
        description="growth of memory; none where it was not measured"
    )
    measurements: tuple[Measurement, ...]

    @property
    def speed(self) -> Speed:
        """How long batches last."""
        return Speed(self.base, self.atom, self.edge)


def calibrate(
    backend: Backend, key: CalibrationKey, effort: Effort
) -> Generator[None, None, Calibration]:
    """Measure a backend, one evaluation a step, so that others may use it between two of them.

    Returns:
        The calibration, after the last step.
    """
    series = []
    for atoms, periodic in KINDS:
        graph = build_graph(lattice_piece(backend.card, atoms, periodic), backend.card.cutoff)
        series.append((yield from _series(backend, graph, key, effort)))
    measurements = tuple(chain.from_iterable(series))
    speed = fit(measurements)
    shows_memory = effort == "thorough" and key.device == "cpu"
    return Calibration(
        key=key,
        effort=effort,
        base=speed.base,
        atom=speed.atom,
        edge=speed.edge,
        best=smallest_of_the_best(series[0]),
        bytes_per_edge=_growth(series) if shows_memory else None,
        measurements=measurements,
    )


def _series(
    backend: Backend, graph: Graph, key: CalibrationKey, effort: Effort
) -> Generator[None, None, list[Measurement]]:
    """Batches of 1, 2, 4 and more of the same structure."""
    longest, repeats = EFFORTS[effort]
    series: list[Measurement] = []
    while _goes_on(series, longest):
        batch = collate([graph] * (2 * series[-1].structures if series else 1))
        try:
            seconds = yield from _shortest(backend, batch, key, repeats)
        except (MemoryError, OutOfMemory):
            if not series:
                raise
            break
        series.append(
            Measurement(
                structures=len(batch.n_atoms),
                atoms=len(batch.numbers),
                edges=len(batch.edge_reverse),
                seconds=seconds,
                peak=peak_memory(),
            )
        )
    return series


def _shortest(
    backend: Backend, batch: Graph, key: CalibrationKey, repeats: int
) -> Generator[None, None, float]:
    """Seconds of the shortest of several runs; on a CPU, the time of others does not count."""
    seconds = math.inf
    for _ in range(repeats):
        with _ALONE:
            began, busy = time.perf_counter(), time.process_time()
            backend(batch)
            seconds = min(seconds, time.perf_counter() - began)
            if key.device == "cpu":
                seconds = min(seconds, max(time.process_time() - busy, 1e-6))
        yield
    return seconds


def calibrate_at_once(backend: Backend, key: CalibrationKey, effort: Effort) -> Calibration:
    """The calibration of a backend that nobody else uses meanwhile."""
    steps = calibrate(backend, key, effort)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            calibration: Calibration = end.value
            return calibration


def fit(measurements: Sequence[Measurement]) -> Speed:
    """The speed with the least relative deviation from what was measured.

    No coefficient of it is negative.
    """
    rows = np.array([[1.0, p.atoms, p.edges] for p in measurements]) / np.array(
        [[p.seconds] for p in measurements]
    )
    best, least = Speed(), np.inf
    for columns in chain.from_iterable(combinations(range(3), n) for n in (1, 2, 3)):
        fitted = np.linalg.lstsq(rows[:, columns], np.ones(len(rows)))[0]
        deviation = float(np.square(rows[:, columns] @ fitted - 1.0).sum())
        if (fitted >= 0.0).all() and deviation < least:
            coefficients = np.zeros(3)
            coefficients[list(columns)] = fitted
            best, least = Speed(*coefficients.tolist()), deviation
    return best


def smallest_of_the_best(measurements: Sequence[Measurement]) -> Measurement:
    """The smallest batch that reaches `ENOUGH` of the best throughput.

    It has `LEAST_STRUCTURES` at least, if one of these was measured.
    """
    most = max(point.structures / point.seconds for point in measurements)
    enough = [p for p in measurements if p.structures / p.seconds >= ENOUGH * most]
    return next((p for p in enough if p.structures >= LEAST_STRUCTURES), enough[-1])


def _goes_on(series: Sequence[Measurement], longest: float) -> bool:
    """Whether a larger batch is worth measuring.

    A small one may last four times as long as the others.
    """
    if not series:
        return True
    allowed = longest if series[-1].structures >= LEAST_STRUCTURES else 4.0 * longest
    return 2.0 * series[-1].seconds < allowed and series[-1].structures < MOST_STRUCTURES


def deviation(calibration: Calibration) -> float:
    """Largest relative difference of a prediction from what was measured."""
    speed = calibration.speed
    return max(
        abs(speed.seconds(Cost(p.atoms, p.edges)) / p.seconds - 1.0)
        for p in calibration.measurements
    )


def _growth(series: Sequence[Sequence[Measurement]]) -> float:
    """Bytes that the peak grew by with each edge, of the kind for which it grew most."""
    pairs = [
        (measurements[0], measurements[-1]) for measurements in series if len(measurements) > 1
    ]
    return max((max(0, b.peak - a.peak) / max(1, b.edges - a.edges) for a, b in pairs), default=0.0)
