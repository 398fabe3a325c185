"""Limits of a batch: the budget that follows from settings and from what was measured."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.backends import Backend
from app.engine.budget import Budget, Cost
from app.engine.calibration import Calibration, CalibrationKey, Effort, calibrate
from app.engine.calibration_cache import CalibrationCache
from app.machine import free_memory

FALLBACK = Budget(atoms=4096, edges=262_144, structures=64, source="default")
"""Until something was measured."""
SHORTEST = 0.02
"""Seconds; in shorter batches handing over, which is not measured, takes a notable share."""
MEMORY_SHARE = 0.5
"""Of what is free, for one evaluation, where no setting says how much."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What the settings say about batches; 0 leaves it to the measurement.

    Attributes:
        atoms: most atoms.
        edges: most edges.
        structures: most structures.
        seconds: the longest batch.
        memory: bytes of one evaluation.
    """

    atoms: int = 0
    edges: int = 0
    structures: int = 0
    seconds: float = math.inf
    memory: int = 0

    def budget(self, calibration: Calibration | None, source: str = "measured") -> Budget:
        """The budget in force: what is set wins over what was measured, and that over `FALLBACK`."""
        budget = (
            replace(FALLBACK, longest=self.seconds)
            if calibration is None
            else self._measured(calibration, source)
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
        """As long as the batch with almost the best throughput; memory bounds it from above."""
        speed, best = calibration.speed, calibration.best
        seconds = max(SHORTEST, speed.seconds(Cost(best.atoms, best.edges)))
        capacity = math.inf
        if calibration.bytes_per_edge:
            capacity = max(
                1.0, (self.memory or MEMORY_SHARE * free_memory()) // calibration.bytes_per_edge
            )
        return Budget(
            atoms=max(FALLBACK.atoms, best.atoms),
            edges=int(min(capacity, max(FALLBACK.edges, best.edges))),
            structures=max(FALLBACK.structures, 2 * best.structures),
            seconds=min(self.seconds, seconds),
            longest=self.seconds,
            speed=speed,
            capacity=capacity,
            source=source,
        )


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
    yield limits.budget(calibration)
