"""The worker threads of a model: each takes the next batch of what waits, evaluates it, and hands
the results back.

While one thread assembles its batch or hands results back, the other one's batch keeps the backend
busy. A batch that does not fit into memory is halved, and the budget with it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.atoms.graph import Graph
from app.backends import Backend
from app.engine.observer import Observer
from app.engine.scheduler import LOWERED, Budget, Cost, Lane, Lanes
from app.engine.task import Task, absorb, cost_of, evaluated
from app.errors import BackendError, EquipotError

IN_FLIGHT = 2
"""Batches at the same time."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Done:
    tasks: list[Task]
    results: list[Any]
    costs: list[Cost]
    waited: list[float]
    seconds: float


class Workers:
    """Threads that evaluate what is put before them. Belongs to the event loop that started it.

    Args:
        backend: what evaluates.
        budget: the largest batch to begin with.
        observer: is told of batches.
        evaluated: is told of the atoms and seconds of each batch, on the event loop.
        in_flight: batches at the same time.

    Attributes:
        budget: the largest batch, as it is now.
    """

    def __init__(
        self,
        backend: Backend,
        budget: Budget,
        observer: Observer,
        evaluated: Callable[[int, float], None],
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self.budget = budget
        self._backend = backend
        self._observer = observer
        self._evaluated = evaluated
        self._idle_work: Iterator[Budget | None] | None = None
        self._waiting: Lanes[Task] = Lanes()
        self._arrived: list[Task] = []
        self._wake = threading.Condition()
        self._busy = 0
        self._stepping = False
        self._stopping = False
        names = [f"model-{backend.card.name}-{number}" for number in range(in_flight)]
        self._threads = [
            threading.Thread(target=self._work, name=name, daemon=True) for name in names
        ]

    @property
    def depth(self) -> int:
        """Tasks that wait for their batch."""
        return len(self._waiting) + len(self._arrived)

    def start(self) -> None:
        """Start the threads. To be called on the event loop that will await the results."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()

    def put(self, task: Task, lane: Lane) -> None:
        """Let a task wait in a lane."""
        task.lane = lane
        if not self._arrived:
            self._loop.call_soon(self._flush)
        self._arrived.append(task)

    def when_idle(self, steps: Iterator[Budget | None]) -> None:
        """Have short steps of work done on the backend while nothing waits.

        Args:
            steps: what they yield other than None is the new budget.
        """
        with self._wake:
            self._idle_work = steps
            self._wake.notify()

    async def stop(self) -> None:
        """Finish what waits, and end."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _flush(self) -> None:
        """Show the workers all that arrived in one turn of the event loop at once, so that it
        shares a batch.
        """
        with self._wake:
            self._waiting.add(self._arrived)
            self._wake.notify()
        self._arrived.clear()

    def _work(self) -> None:
        while (tasks := self._next()) is not None:
            try:
                if tasks:
                    self._evaluate(tasks)
                else:
                    self._step()
            except Exception as error:
                self._lose(tasks, error)
            with self._wake:
                self._busy -= 1
                if self._stepping:
                    self._stepping = False
                    self._wake.notify_all()

    def _lose(self, tasks: Sequence[Task], error: Exception) -> None:
        """After a fault of this program: nobody shall wait for ever."""
        log.error("a worker of model %s failed", self._backend.card.name, exc_info=error)
        with self._wake:
            lost = [*tasks, *self._waiting.clear()]
        fault = BackendError(f"internal error in the queue: {type(error).__name__}: {error}")
        self._loop.call_soon_threadsafe(_tell, lost, [fault] * len(lost))

    def _evaluate(self, tasks: list[Task]) -> None:
        began = time.perf_counter()
        costs, waited = [task.cost for task in tasks], [began - task.since for task in tasks]
        outcomes = evaluated(self._backend, tasks, self._on_shortage)
        seconds = time.perf_counter() - began
        done = _Done(tasks, absorb(tasks, outcomes), costs, waited, seconds)
        self._requeue(
            [task for task, result in zip(tasks, done.results, strict=True) if result is None]
        )
        self._loop.call_soon_threadsafe(self._deliver, done)

    def _requeue(self, tasks: list[Task]) -> None:
        now = time.perf_counter()
        for task in tasks:
            task.since = now
            task.lane = Lane.SMALL if self.budget.holds(task.cost) else Lane.LARGE
        with self._wake:
            self._waiting.add(tasks)

    def _next(self) -> list[Task] | None:
        """The next batch; empty where nothing else goes on and there is time for other work, None
        at the end.
        """
        with self._wake:
            while True:
                if not self._stepping:
                    if tasks := self._take():
                        self._busy += 1
                        return tasks
                    if self._stopping:
                        return None
                    if self._idle_work and not self._busy:
                        self._busy += 1
                        self._stepping = True
                        return []
                self._wake.wait()

    def _take(self) -> list[Task]:
        """The next batch; where it leaves something, the other worker is told."""
        try:
            tasks = self._waiting.next(self.budget)
        except Exception as error:
            self._lose([], error)
            return []
        if len(self._waiting):
            self._wake.notify()
        return tasks

    def _step(self) -> None:
        """One step of the work for idle times; it ends with its first error."""
        assert self._idle_work is not None
        try:
            budget = next(self._idle_work)
        except StopIteration:
            self._idle_work = None
        except Exception as error:
            log.error("model %s could not be measured", self._backend.card.name, exc_info=error)
            self._idle_work = None
        else:
            if budget and self.budget.source != LOWERED:
                self.budget = budget

    def _on_shortage(self, graphs: Sequence[Graph]) -> None:
        """Lower the budget, in the worker's thread: what was formed before may still be larger."""
        failed = sum((cost_of(graph) for graph in graphs), Cost(0, 0))
        self.budget = self.budget.lowered(failed)
        log.warning(
            "model %s: a batch of %d structures with %d atoms and %d edges did not fit into memory; "
            "from now on batches have at most %d atoms and %d edges",
            *(
                self._backend.card.name,
                len(graphs),
                failed.atoms,
                failed.edges,
                self.budget.atoms,
                self.budget.edges,
            ),
        )
        self._loop.call_soon_threadsafe(self._observer.shortage)

    def _deliver(self, done: _Done) -> None:
        _tell(done.tasks, done.results)
        self._evaluated(sum(cost.atoms for cost in done.costs), done.seconds)
        self._observer.batch(done.costs, done.waited, done.seconds)


def _tell(tasks: Sequence[Task], results: Sequence[Any]) -> None:
    """Hand each task's result to its caller, on the event loop; None is no result yet."""
    for task, result in zip(tasks, results, strict=True):
        if result is None or task.future.done():
            continue
        if isinstance(result, EquipotError):
            task.future.set_exception(result)
        else:
            task.future.set_result(result)
