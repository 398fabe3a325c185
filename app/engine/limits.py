"""Budgets: the largest batch, from settings and from what was measured, and the folder that
remembers the latter.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from app.backends import Backend
from app.engine.calibration import Calibration, Effort, Place, calibrate
from app.engine.scheduler import Budget, Cost
from app.machine import free_memory
from app.settings import Settings

FALLBACK = Budget(atoms=4096, edges=262_144, structures=64, source="default")
"""Until something was measured."""
SHORTEST = 0.02
"""Seconds; below it, handing a batch over costs a share that the measurement of a backend does not
see.
"""
MEMORY_SHARE = 0.5
"""Of what is free, for one evaluation, where no setting says how much."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
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

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the settings say."""
        sizes = (settings.batch_atoms, settings.batch_edges, settings.batch_structures)
        return cls(*sizes, settings.batch_seconds, settings.memory_mb * 1_000_000)

    def budget(self, found: Calibration | None, source: str = "measured") -> Budget:
        """The budget in force: what is set wins over what was measured, and that over `FALLBACK`."""
        budget = (
            replace(FALLBACK, longest=self.seconds)
            if found is None
            else self._measured(found, source)
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

    def _measured(self, found: Calibration, source: str) -> Budget:
        """As long as the batch with almost the best throughput; memory bounds it from above."""
        speed, best = found.speed, found.best
        seconds = max(SHORTEST, speed.seconds(Cost(best.atoms, best.edges)))
        capacity = math.inf
        if found.bytes_per_edge:
            capacity = max(
                1.0, (self.memory or MEMORY_SHARE * free_memory()) // found.bytes_per_edge
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


class Cache:
    """Calibrations in a folder, one file for each model, device and number of threads."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, place: Place) -> Calibration | None:
        """What was measured at a place; None if nothing was, or with another runtime."""
        if self._folder is None:
            return None
        try:
            found = Calibration.model_validate_json(self._path(self._folder, place).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            log.warning("%s is not used: %s", self._path(self._folder, place), error)
            return None
        return found if found.place == place else None

    def write(self, found: Calibration) -> Path | None:
        """Remember it; says in the log where that cannot be done, and returns None."""
        if self._folder is None:
            return None
        path = self._path(self._folder, found.place)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_text(found.model_dump_json(indent=2) + "\n")
            partial.replace(path)
        except OSError as error:
            log.info(
                "calibrations are not kept: %s cannot be written (%s)", path.parent, error.strerror
            )
            self._folder = None
            return None
        return path

    def _path(self, folder: Path, place: Place) -> Path:
        return folder / f"{place.digest[:16]}-{place.device}-{place.threads}.json"


def measured(
    backend: Backend, place: Place, limits: Limits, cache: Cache, effort: Effort = "quick"
) -> Iterator[Budget | None]:
    """Measure a backend step by step; the last item is the budget, those before it None."""
    found = yield from calibrate(backend, place, effort)
    cache.write(found)
    yield limits.budget(found)
