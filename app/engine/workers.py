"""The worker threads of a model: each takes a batch, evaluates it, and hands results back.

While one thread assembles its batch or hands results back, the other one's batch keeps the backend
busy. A batch that does not fit into memory is halved, and the budget with it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from app.atoms.graph import Graph
from app.backends import Backend
from app.engine.budget import LOWERED, Budget, Cost
from app.engine.observer import Observer
from app.engine.scheduler import Lane, Lanes
from app.engine.task import Ended, Goes, Step, Task, advance, cost_of, evaluate_tasks
from app.errors import BackendError, EquipotError

IN_FLIGHT = 2
"""Batches at the same time."""

R = TypeVar("R")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Evaluate these tasks."""

    tasks: list[Task[object]]


@dataclass(frozen=True, slots=True, eq=False)
class IdleStep:
    """Do one step of the work for idle times; nothing else begins meanwhile."""

    steps: Iterator[Budget | None]


@dataclass(frozen=True, slots=True)
class Stop:
    """End the thread."""


Work: TypeAlias = Batch | IdleStep | Stop


@dataclass(frozen=True, slots=True)
class _Done:
    tasks: list[Task[object]]
    steps: list[Step[object]]
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
        self._idle_steps: Iterator[Budget | None] | None = None
        self._waiting: Lanes[Task[object]] = Lanes()
        self._arrived: list[Task[object]] = []
        self._wake = threading.Condition()
        self._in_progress: list[Work] = []
        self._stopping = False
        names = [f"model-{backend.card.name}-{number}" for number in range(in_flight)]
        self._threads = [
            threading.Thread(target=self._run, name=name, daemon=True) for name in names
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

    async def run(self, task: Task[R], lane: Lane | None = None) -> R:
        """What a task has to say once it is over. Cancelling takes it out of the queue.

        Args:
            task: what waits from now on.
            lane: where; None lets its cost decide.

        Raises:
            EquipotError: the error that the task ended with.
        """
        task.lane = self._lane(task) if lane is None else lane
        if not self._arrived:
            self._loop.call_soon(self._flush)
        self._arrived.append(task)
        return await task.future

    def when_idle(self, steps: Iterator[Budget | None]) -> None:
        """Have short steps of work done on the backend while nothing waits or is evaluated.

        Args:
            steps: what they yield other than None is the new budget.
        """
        with self._wake:
            self._idle_steps = steps
            self._wake.notify()

    async def stop(self) -> None:
        """Finish what waits, and end."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _lane(self, task: Task[object]) -> Lane:
        return Lane.SMALL if self.budget.holds(task.cost) else Lane.LARGE

    def _flush(self) -> None:
        """Show the workers what arrived in one turn of the loop at once: it shares a batch."""
        arrived, self._arrived = self._arrived, []
        with self._wake:
            self._waiting.add(arrived)
            self._wake.notify()

    def _run(self) -> None:
        while not isinstance(work := self._next(), Stop):
            try:
                if isinstance(work, Batch):
                    self._evaluate(work.tasks)
                else:
                    self._step(work.steps)
            except Exception as error:
                self._lose(work.tasks if isinstance(work, Batch) else [], error)
            self._over(work)

    def _next(self) -> Work:
        """What this thread does next; waits for it."""
        with self._wake:
            while (work := self._ready()) is None:
                self._wake.wait()
            self._in_progress.append(work)
            return work

    def _ready(self) -> Work | None:
        """What a free thread may begin now; None where it has to wait."""
        if any(isinstance(work, IdleStep) for work in self._in_progress):
            return None
        if tasks := self._next_batch():
            return Batch(tasks)
        if self._stopping:
            return Stop()
        if self._idle_steps is not None and not self._in_progress:
            return IdleStep(self._idle_steps)
        return None

    def _over(self, work: Work) -> None:
        with self._wake:
            self._in_progress.remove(work)
            if isinstance(work, IdleStep):
                self._wake.notify_all()

    def _next_batch(self) -> list[Task[object]]:
        """The next batch; where it leaves something, the other worker is told."""
        try:
            tasks = self._waiting.next_batch(self.budget)
        except Exception as error:
            self._lose([], error)
            return []
        if len(self._waiting):
            self._wake.notify()
        return tasks

    def _lose(self, tasks: Sequence[Task[object]], error: Exception) -> None:
        """After a fault of this program: nobody shall wait for ever."""
        log.error("a worker of model %s failed", self._backend.card.name, exc_info=error)
        with self._wake:
            lost = [*tasks, *self._waiting.clear()]
        fault = BackendError(f"internal error in the queue: {type(error).__name__}: {error}")
        self._loop.call_soon_threadsafe(_tell, lost, [Ended(fault)] * len(lost))

    def _evaluate(self, tasks: list[Task[object]]) -> None:
        began = time.perf_counter()
        costs, waited = [task.cost for task in tasks], [began - task.since for task in tasks]
        outcomes = evaluate_tasks(self._backend, tasks, self._on_shortage)
        ended = time.perf_counter()
        for task in tasks:
            task.evaluation = began, ended
        seconds = ended - began
        done = _Done(tasks, advance(tasks, outcomes), costs, waited, seconds)
        going = [t for t, step in zip(tasks, done.steps, strict=True) if isinstance(step, Goes)]
        self._requeue(going)
        self._loop.call_soon_threadsafe(self._deliver, done)

    def _requeue(self, tasks: list[Task[object]]) -> None:
        now = time.perf_counter()
        for task in tasks:
            task.since = now
            task.lane = self._lane(task)
        with self._wake:
            self._waiting.add(tasks)

    def _step(self, steps: Iterator[Budget | None]) -> None:
        """One step of the work for idle times; it ends with its first error."""
        try:
            budget = next(steps)
        except StopIteration:
            self._idle_steps = None
        except Exception as error:
            log.error("model %s could not be measured", self._backend.card.name, exc_info=error)
            self._idle_steps = None
        else:
            if budget and self.budget.source != LOWERED:
                self.budget = budget

    def _on_shortage(self, graphs: Sequence[Graph]) -> None:
        """Lower the budget, in the worker's thread: what was formed before may still be larger."""
        failed = sum((cost_of(graph) for graph in graphs), Cost(0, 0))
        self.budget = self.budget.lowered(failed)
        log.warning(
            "model %s: a batch of %d structures with %d atoms and %d edges did not fit into "
            "memory; from now on batches have at most %d atoms and %d edges",
            *(self._backend.card.name, len(graphs), failed.atoms, failed.edges),
            *(self.budget.atoms, self.budget.edges),
        )
        self._loop.call_soon_threadsafe(self._observer.shortage)

    def _deliver(self, done: _Done) -> None:
        _tell(done.tasks, done.steps)
        self._evaluated(sum(cost.atoms for cost in done.costs), done.seconds)
        self._observer.batch(done.costs, done.waited, done.seconds)


def _tell(tasks: Sequence[Task[object]], steps: Sequence[Step[object]]) -> None:
    """Hand the results of those that have ended to their callers, on the event loop."""
    for task, step in zip(tasks, steps, strict=True):
        if isinstance(step, Goes) or task.future.done():
            continue
        if isinstance(step.outcome, EquipotError):
            task.future.set_exception(step.outcome)
        else:
            task.future.set_result(step.outcome)
