"""One structure over a Ray cluster: its regions go to workers there, and what they give comes back.

The same contract as `app.space.pool.Pool`, on other machines: a worker that ends is replaced, and its
region evaluated by another one, once. Models travel, so that no machine needs a store.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from app import __version__
from app.atoms.regions import Region
from app.backends import load_backend
from app.cluster.shipping import PackedModel
from app.cluster.workers import Resources, check_starts, check_version, own_error, wanted
from app.errors import BackendError
from app.settings import Settings
from app.space.evaluator import Answer, Evaluator
from app.store.location import default_cache

WAITING = 2
"""Regions for each worker that are under way, so that none waits for the next one to be made."""
ATTEMPTS = 2
"""Of one region, if the worker that has it ends."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What each worker evaluates with.

    Attributes:
        model: that answers.
        settings: of the process that asks, but for its folders.
        version: of Equipot there.
    """

    model: PackedModel
    settings: Settings
    version: str = __version__


class RegionWorker:
    """Evaluates one region after the other; an actor of Ray."""

    _evaluator: Evaluator

    def start(self, equipment: Equipment) -> int:
        """Open the model; the number of the process.

        Raises:
            Unavailable: another version of Equipot is installed here.
            EquipotError: the model cannot be run here.
        """
        check_version(equipment.version, "this command")
        settings = equipment.settings
        backend = load_backend(
            equipment.model.unpacked(default_cache()),
            threads=settings.threads,
            device=settings.device,
            deterministic=settings.deterministic,
            backend=settings.backend,
        )
        self._evaluator = Evaluator(backend, settings.device, settings.memory_mb * 1_000_000)
        return os.getpid()

    def answer(self, region: Region, derivatives: bool) -> Answer:
        """See `app.space.evaluator.Evaluator.answer`."""
        return self._evaluator.answer(region, derivatives)


@dataclass(slots=True, eq=False)
class _Place:
    """A worker, and what it has not answered."""

    actor: Any
    started: Any
    given: list[Any]
    is_ready: bool = False


@dataclass(slots=True, eq=False)
class _Asked:
    region: Region
    place: _Place
    ref: Any
    ends: int = 0


class ClusterWorkers:
    """Workers of the cluster that this process is a driver of; a `Transport`.

    Args:
        equipment: of each.
        resources: that each has.

    Raises:
        Unavailable: the cluster has no room for them.
    """

    def __init__(self, equipment: Equipment, resources: Resources) -> None:
        import ray

        self._ray = ray
        self._equipment = ray.put(equipment)
        gpus = {"num_gpus": resources.gpus} if resources.gpus else {}
        self._actor = ray.remote(RegionWorker).options(num_cpus=resources.cores, **gpus)
        self.workers = wanted(resources)
        self._early_ends = 0
        self._places = [self._place() for _ in range(self.workers)]

    def answers(
        self, regions: Iterable[Region], derivatives: bool
    ) -> Iterator[tuple[Region, Answer]]:
        """See `app.space.evaluator.Transport`.

        Raises:
            Unavailable: workers cannot start.
            BackendError: a region ends the worker that has it, twice.
            EquipotError: as `app.space.evaluator.Evaluator.answer`.
        """
        waiting: deque[_Asked] = deque()
        for region in regions:
            waiting.append(self._ask(region, derivatives))
            if len(waiting) >= WAITING * self.workers:
                yield self._answered(waiting.popleft(), derivatives)
        while waiting:
            yield self._answered(waiting.popleft(), derivatives)

    def processes(self) -> tuple[int, ...]:
        """Their numbers, each on its machine, once they have the model."""
        return tuple(self._ray.get([place.started for place in self._places]))

    def close(self) -> None:
        """Let the workers go."""
        for place in self._places:
            self._ray.kill(place.actor)

    def _place(self) -> _Place:
        actor = self._actor.remote()
        return _Place(actor, actor.start.remote(self._equipment), [])

    def _ask(self, region: Region, derivatives: bool) -> _Asked:
        """Give a region to the worker that has least to do."""
        for place in self._places:
            if place.given:
                _, place.given = self._ray.wait(
                    place.given, num_returns=len(place.given), timeout=0
                )
        place = min(self._places, key=lambda each: len(each.given))
        ref = place.actor.answer.remote(region, derivatives)
        place.given.append(ref)
        return _Asked(region, place, ref)

    def _answered(self, asked: _Asked, derivatives: bool) -> tuple[Region, Answer]:
        while True:
            errors = self._ray.exceptions
            try:
                if not asked.place.is_ready:
                    self._ray.get(asked.place.started)
                    asked.place.is_ready, self._early_ends = True, 0
                answer: Answer = self._ray.get(asked.ref)
            except errors.RayTaskError as error:
                raise own_error(error) from error
            except errors.RayError as error:  # the process or its machine is gone
                had_started = asked.place.is_ready
                self._replace(asked.place, error)
                ends = asked.ends + had_started
                if ends == ATTEMPTS:
                    raise BackendError(
                        f"a worker ended while it evaluated {asked.region.core} atoms, and so did another "
                        "one; take fewer workers a machine if memory is short"
                    ) from error
                asked = self._ask(asked.region, derivatives)
                asked.ends = ends
            else:
                return asked.region, answer

    def _replace(self, place: _Place, error: Exception) -> None:
        """Have a new worker in the place of one that has ended."""
        if place not in self._places:
            return
        self._places.remove(place)
        self._ray.kill(place.actor)
        if not place.is_ready:
            self._early_ends += 1
        check_starts(self._early_ends, " ".join(str(error).split()))
        self._places.append(self._place())
