"""The backend alone: how long batches of any size take, neighbour lists not counted."""

import time
from dataclasses import dataclass

import numpy as np

from app.atoms.graph import collate
from app.atoms.neighbors import build_graph
from app.backends import Backend
from app.bench.samples import Sample
from app.errors import OutOfMemory

MOST = 128
"""Structures of the largest batch."""
LEAST_RUNS = 3


@dataclass(frozen=True, slots=True)
class BatchSpeed:
    """Batches of one size.

    Attributes:
        structures: in a batch.
        atoms: in a batch.
        ms: median duration of a batch.
        rate: structures a second.
        cpu_ms: processor time of a structure.
    """

    structures: int
    atoms: int
    ms: float
    rate: float
    cpu_ms: float


def batch_speeds(backend: Backend, sample: Sample, seconds: float) -> list[BatchSpeed]:
    """Batches of 1, 2, 4, … structures.

    They end with one that takes longer than `seconds`, or before one that does not fit into memory.

    Args:
        backend: of the model.
        sample: what the batches are made of.
        seconds: how long batches of each size are repeated.
    """
    graphs = [build_graph(structure, backend.card.cutoff) for structure in sample.take(MOST)]
    speeds: list[BatchSpeed] = []
    size = 1
    while size <= MOST and (not speeds or speeds[-1].ms < 1000 * seconds):
        batch = collate(graphs[:size])
        try:
            backend(batch)
        except (MemoryError, OutOfMemory):
            if not speeds:
                raise
            break
        times: list[float] = []
        cpu = time.process_time()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < LEAST_RUNS:
            began = time.perf_counter()
            backend(batch)
            times.append(time.perf_counter() - began)
        cpu_ms = 1000 * (time.process_time() - cpu) / size / len(times)
        median = float(np.median(times))
        speeds.append(BatchSpeed(size, len(batch.numbers), 1000 * median, size / median, cpu_ms))
        size *= 2
    return speeds


def best(speeds: list[BatchSpeed]) -> BatchSpeed:
    """The batch with the most structures a second."""
    return max(speeds, key=lambda speed: speed.rate)
