"""Labelling on a cluster: a reference calculator in workers of Ray, where a crash costs one frame.

The same contract as `app.labelling.isolation.isolated`. What ends with its worker is tried by one more,
since a machine may have gone; a frame that ends two of them fails.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.errors import EquipotError, TrainingError
from app.labelling.isolation import START_LIMIT, answer
from app.labelling.ordering import ItemResult, in_order

Item = TypeVar("Item")
Value = TypeVar("Value")

HOPELESS = 2
"""Workers that one frame may end."""
WAIT = 1.0
"""Seconds between two looks at the clock."""


class Labeller:
    """Answers one item at a time; an actor of Ray."""

    def start(self, start: Callable[[], Callable[[Any], Any]]) -> None:
        """Make the function; what that raises ends the run."""
        self._function = start()

    def one(self, item: Any) -> tuple[str, Any]:
        """`value` and what the function gives, or `failure` and why it gives nothing."""
        return answer(self._function, item)


@dataclass(slots=True, eq=False)
class _Place:
    """A worker, what it was asked for, and what for."""

    actor: Any
    ref: Any
    deadline: float
    is_ready: bool = False
    entry: "_Entry | None" = None


@dataclass(slots=True, eq=False)
class _Entry:
    index: int
    item: Any
    deaths: int = 0


class _Pool(Generic[Item, Value]):
    """Workers of a cluster that this process is a driver of.

    Args:
        start: called once in every worker.
        timeout: seconds that one item may take.
        processes: number of workers of one core; 0 for as many as the cluster has room for.
    """

    def __init__(
        self, start: Callable[[], Callable[[Item], Value]], timeout: float, processes: int
    ) -> None:
        import ray

        self._ray, self._timeout = ray, timeout
        self._start = ray.put(start)
        self._actor = ray.remote(Labeller).options(num_cpus=1)
        self.places: list[_Place] = []
        self.again: list[_Entry] = []
        room = int(ray.cluster_resources().get("CPU", 0))
        for _ in range(processes or max(1, room)):
            self._add()

    def _add(self) -> None:
        actor = self._actor.remote()
        deadline = time.monotonic() + START_LIMIT
        self.places.append(_Place(actor, actor.start.remote(self._start), deadline))

    @property
    def busy(self) -> bool:
        """Whether a worker has an item, or one is to be tried again."""
        return bool(self.again) or any(place.entry for place in self.places)

    def takes(self, index: int, item: Item) -> bool:
        """Have an item answered by a worker that has nothing to do; false where there is none."""
        self._try_again()
        place = self._idle()
        if place is not None:
            self._give(_Entry(index, item), place)
        return place is not None

    def news(self) -> Iterator[ItemResult[Item, Value]]:
        """Wait a moment; what has ended since."""
        self._try_again()
        busy = {place.ref: place for place in self.places if place.entry or not place.is_ready}
        soonest = min((place.deadline for place in busy.values()), default=math.inf)
        patience = min(WAIT, max(0.0, soonest - time.monotonic()))
        ready, late = self._ray.wait(list(busy), num_returns=1, timeout=patience)
        for ref in ready:
            yield from self._ended(busy[ref])
        for ref in late:
            if time.monotonic() >= busy[ref].deadline:
                yield from self._hung(busy[ref])

    def stop(self) -> None:
        """End all workers."""
        for place in self.places:
            self._ray.kill(place.actor)

    def _idle(self) -> _Place | None:
        return next((place for place in self.places if place.is_ready and not place.entry), None)

    def _give(self, entry: _Entry, place: _Place) -> None:
        place.entry, place.ref = entry, place.actor.one.remote(entry.item)
        place.deadline = time.monotonic() + self._timeout

    def _try_again(self) -> None:
        """What ended a worker goes to the next one that is free."""
        while self.again and (place := self._idle()) is not None:
            self._give(self.again.pop(), place)

    def _ended(self, place: _Place) -> Iterator[ItemResult[Item, Value]]:
        try:
            answered = self._ray.get(place.ref)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, EquipotError):
                raise error.cause from error
            raise TrainingError(f"a worker cannot start: {error.cause}") from error
        except self._ray.exceptions.RayError as error:
            yield from self._died(place, error)
            return
        if not place.is_ready:
            place.is_ready, place.deadline = True, math.inf
            return
        entry, place.entry = place.entry, None
        assert entry is not None
        kind, content = answered
        value, failure = (content, None) if kind == "value" else (None, content)
        yield ItemResult(entry.index, entry.item, value, failure)

    def _died(self, place: _Place, error: Exception) -> Iterator[ItemResult[Item, Value]]:
        if not place.is_ready:
            raise TrainingError(f"a worker cannot start: {' '.join(str(error).split())[:600]}")
        entry = self._replaced(place)
        entry.deaths += 1
        if entry.deaths < HOPELESS:
            self.again.append(entry)
        else:
            yield ItemResult(entry.index, entry.item, None, "the worker process died, twice")

    def _hung(self, place: _Place) -> Iterator[ItemResult[Item, Value]]:
        if not place.is_ready:
            raise TrainingError(f"a worker cannot start: no answer within {START_LIMIT:g} s")
        entry = self._replaced(place)
        yield ItemResult(entry.index, entry.item, None, f"no answer within {self._timeout:g} s")

    def _replaced(self, place: _Place) -> _Entry:
        """What a worker had that is given up."""
        self._ray.kill(place.actor)
        self.places.remove(place)
        self._add()
        assert place.entry is not None
        return place.entry


def scattered(
    start: Callable[[], Callable[[Item], Value]],
    items: Iterable[Item],
    processes: int,
    timeout: float,
    window: int = 256,
) -> Iterator[ItemResult[Item, Value]]:
    """Results in the order of the items.

    Args:
        start: called once in every worker; returns the function of one item. Both must be
            picklable.
        items: read as workers become free.
        processes: number of workers; 0 for as many as the cluster has room for.
        timeout: seconds that one item may take; a worker that takes longer is ended and replaced.
        window: how many items may be under way or wait for a slower one before them.

    Raises:
        EquipotError: what `start` raised.
        TrainingError: a worker that dies or hangs before its first item.
    """
    yield from in_order(lambda: _Pool[Item, Value](start, timeout, processes), items, window)
