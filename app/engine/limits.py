"""Limits of a batch: the budget that follows from settings and from what was measured."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.backends import Backend
from app.backends.device import Device
from app.engine.budget import Budget, Cost
from app.engine.calibration import Calibration, CalibrationKey, Effort, calibrate
from app.engine.calibration_cache import CalibrationCache
from app.machine import free_memory

FALLBACK = Budget(atoms=4096, edges=262_144, structures=64, source="default")
"""Until something was measured."""
SHORTEST = 0.02
"""Seconds; in shorter batches handing over, which is not measured, takes a notable share."""
BULK = 0.1
"""The same where nobody waits for a single structure, and what all is done with structures is the
less the more of them are done together.
"""
MEMORY_SHARE = 0.5
"""Of what is free, for one evaluation, where no setting says how much."""
LOCAL_BYTES = 1000.0
"""Memory that is assumed of an edge in a strictly local model, where it was not measured: 440 to
620 were, of `organic-xtb` on two threads. It is evaluated in portions; what grows are arrays of the
graph.
"""
WHOLE_BYTES = 100_000.0
"""The same of a model that takes structures whole: 85 kB were, of a small Equiformer."""
SEARCH_BYTES = 1000.0
"""Memory for each edge that a search for neighbours may find: it takes 90 to 130 bytes of one, and
may find up to eight times its limit before it is known to exceed it (`app.atoms.neighbors.SLACK`).
"""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What the settings say about batches; 0 leaves it to the measurement.

    Attributes:
        atoms: most atoms.
        edges: most edges.
        structures: most structures.
        seconds: the longest batch.
        memory: bytes of one evaluation.
        shortest: seconds that a batch may take at least, however small the best one is.
    """

    atoms: int = 0
    edges: int = 0
    structures: int = 0
    seconds: float = math.inf
    memory: int = 0
    shortest: float = SHORTEST

    def budget(
        self, calibration: Calibration | None, source: str = "measured", assumed: float = 0.0
    ) -> Budget:
        """The budget in force: what is set wins over what was measured, and that over `FALLBACK`.

        Memory bounds all of them but what is set.

        Args:
            calibration: what was measured, if anything was.
            source: where it comes from.
            assumed: bytes of an edge where they were not measured; 0 where nothing is assumed.
        """
        memory = self.memory or MEMORY_SHARE * free_memory()
        per_edge = (calibration.bytes_per_edge if calibration else None) or assumed
        capacity = max(1.0, memory // per_edge) if per_edge else math.inf
        budget = (
            replace(FALLBACK, longest=self.seconds)
            if calibration is None
            else self._measured(calibration, source)
        )
        budget = replace(
            budget,
            edges=int(min(budget.edges, capacity)),
            capacity=capacity,
            searched=memory // SEARCH_BYTES,
        )
        given = {
            name: getattr(self, name)
            for name in ("atoms", "edges", "structures")
            if getattr(self, name)
        }
        if not given:
            return budget
        return replace(
            budget, **given, seconds=self.seconds, longest=self.seconds, source="setting"
        )

    def _measured(self, calibration: Calibration, source: str) -> Budget:
        """As long as the batch with almost the best throughput."""
        speed, best = calibration.speed, calibration.best
        seconds = max(self.shortest, speed.seconds(Cost(best.atoms, best.edges)))
        return Budget(
            atoms=max(FALLBACK.atoms, best.atoms),
            edges=max(FALLBACK.edges, best.edges),
            structures=max(FALLBACK.structures, 2 * best.structures),
            seconds=min(self.seconds, seconds),
            longest=self.seconds,
            speed=speed,
            source=source,
        )


def assumed_bytes(backend: Backend, device: str) -> float:
    """Bytes of an edge where they were not measured; 0 on a GPU, whose memory is not the
    process's.
    """
    if Device.of(device).is_cuda:
        return 0.0
    return LOCAL_BYTES if backend.is_strictly_local else WHOLE_BYTES


def measured(
    backend: Backend,
    key: CalibrationKey,
    limits: BatchLimits,
    cache: CalibrationCache,
    effort: Effort = "quick",
) -> Iterator[Budget | None]:
    """Measure a backend step by step; the last item is the budget, those before it None."""
    calibration = yield from calibrate(backend, key, effort)
    cache.write(calibration)
    yield limits.budget(calibration, assumed=assumed_bytes(backend, key.device))
