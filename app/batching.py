"""Dynamic batching without a timer: what waits while the backend is busy is the next batch.

Requests are admitted against a bound, get their neighbour lists outside the backend's thread, and wait in one
queue. One worker thread takes the largest batch that the budget allows, evaluates it, and hands all results
back to the event loop at once.
"""

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from app.backends import Backend
from app.errors import BackendError, EquipotError, Overloaded, Unavailable
from app.evaluate import Outcome, evaluate
from app.graph import Graph
from app.neighbors import build_graph
from app.prediction import StructurePrediction
from app.structure import Structure

log = logging.getLogger(__name__)

LOOK_AHEAD = 64
"""How many waiting items may be looked at past one that does not fit."""
INLINE_ATOMS = 200
"""Neighbour lists of structures up to this size cost less than handing them to another thread."""
RETRY_SECONDS = (1.0, 60.0)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one structure takes of a batch."""

    atoms: int
    edges: int


@dataclass(frozen=True, slots=True)
class Budget:
    """The largest batch. A structure over it still goes, alone."""

    atoms: int
    edges: int
    structures: int


@dataclass(frozen=True, slots=True)
class Bound:
    """The most structures and atoms that may be in the house before new ones are turned away."""

    structures: int
    atoms: int


def take(costs: Sequence[Cost], budget: Budget) -> list[int]:
    """Which of the waiting items make the next batch.

    The first one always goes, so that nothing starves; then, in order, each that still fits. A few items are
    looked at past one that does not fit, so that a large structure does not close a batch half empty.

    Args:
        costs: of the waiting items, oldest first.
        budget: the largest batch.

    Returns:
        Increasing indices; empty only if nothing waits.
    """
    taken: list[int] = []
    atoms = edges = passed = 0
    for index, cost in enumerate(costs):
        if len(taken) == budget.structures or passed == LOOK_AHEAD:
            break
        fits = atoms + cost.atoms <= budget.atoms and edges + cost.edges <= budget.edges
        if taken and not fits:
            passed += 1
            continue
        taken.append(index)
        atoms += cost.atoms
        edges += cost.edges
    return taken


class Observer(Protocol):
    """What wants to know how the batcher is doing; called on the event loop, except where noted."""

    def batch(self, costs: Sequence[Cost], waited: Sequence[float], seconds: float) -> None:
        """One evaluation is over: its structures, how long each had waited, and how long it took."""

    def graph(self, seconds: float) -> None:
        """A neighbour list was built."""


class Silent:
    """An observer that does nothing."""

    def batch(self, costs: Sequence[Cost], waited: Sequence[float], seconds: float) -> None:
        """Ignore it."""

    def graph(self, seconds: float) -> None:
        """Ignore it."""


class Task:
    """A structure in the queue that wants one evaluation; a subclass may want more.

    Attributes:
        graph: what is to be evaluated next.
        since: when it was put into the queue.
        future: what the caller awaits.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.since = time.perf_counter()
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @property
    def cost(self) -> Cost:
        """What it takes of a batch."""
        return Cost(len(self.graph.numbers), len(self.graph.edge_reverse))

    @classmethod
    def absorb(cls, tasks: Sequence[Any], outcomes: Sequence[Outcome]) -> list[Any]:
        """What the caller of each task gets, or its error; None for one that goes on with its new graph.

        Called on the worker's thread for all tasks of this class in a batch.
        """
        return list(outcomes)


@dataclass(frozen=True, slots=True)
class _Done:
    tasks: list[Task]
    results: list[Any]
    costs: list[Cost]
    waited: list[float]
    seconds: float


class Batcher:
    """Evaluates structures on one backend, many at a time. Belongs to the event loop that started it."""

    def __init__(
        self, backend: Backend, budget: Budget, bound: Bound, max_edges: int, observer: Observer | None = None
    ) -> None:
        self.backend = backend
        self.budget = budget
        self.bound = bound
        self._max_edges = max_edges
        self._observer = observer or Silent()
        self._waiting: deque[Task] = deque()
        self._arrived: list[Task] = []
        self._wake = threading.Condition()
        self._stopping = False
        self._structures = 0
        self._atoms = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._speed = _Speed()
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="graphs")
        self._worker = threading.Thread(target=self._work, name=f"model-{backend.card.name}", daemon=True)

    @property
    def depth(self) -> int:
        """Structures that wait for their batch."""
        return len(self._waiting) + len(self._arrived)

    def start(self) -> None:
        """Start the worker thread. To be called on the event loop that will await the results."""
        self._loop = asyncio.get_running_loop()
        self._worker.start()

    @contextmanager
    def admit(self, structures: int, atoms: int) -> Iterator[None]:
        """A place in the house for as long as the block lasts, however many evaluations it asks for.

        Raises:
            Overloaded: the house is full; says when to come back.
            Unavailable: the batcher is shutting down.
        """
        self.check_room(structures, atoms)
        self._structures += structures
        self._atoms += atoms
        self._idle.clear()
        try:
            yield
        finally:
            self._structures -= structures
            self._atoms -= atoms
            if not self._structures:
                self._idle.set()

    def check_room(self, structures: int = 1, atoms: int = 1) -> None:
        """Whether so much could be admitted now. Whatever is within a request's limits may enter an empty house.

        Raises:
            Overloaded: the house is full; says when to come back.
            Unavailable: the batcher is shutting down.
        """
        if self._stopping:
            raise Unavailable("the service is shutting down; send the request to another instance")
        full = self._structures + structures > self.bound.structures or self._atoms + atoms > self.bound.atoms
        if self._structures and full:
            wait = self._speed.seconds(self._atoms)
            raise Overloaded(
                f"{self._structures} structures with {self._atoms} atoms are waiting, at most "
                f"{self.bound.structures} and {self.bound.atoms} may; try again in {wait:.0f} s",
                retry_after=wait,
            )

    async def predict(self, structure: Structure) -> StructurePrediction:
        """Evaluate one structure, together with whatever else is waiting. Needs a place from `admit`.

        Cancelling the call takes the structure out of the queue.

        Raises:
            InputError: the structure cannot be turned into a graph, or not be answered by the model.
            BackendError: the model failed on it, or gave a number that is not finite.
        """
        prediction: StructurePrediction = await self.run(Task(await self.graph(structure)))
        return prediction

    async def run(self, task: Task) -> Any:
        """What a task has to say once it is over. Needs a place from `admit`; cancelling takes it out of the queue."""
        if not self._arrived:
            self._loop.call_soon(self._flush)
        self._arrived.append(task)
        return await task.future

    async def stop(self) -> None:
        """Refuse what is new, finish what has been admitted, end the worker."""
        self._stopping = True
        await self._idle.wait()
        with self._wake:
            self._wake.notify()
        await asyncio.to_thread(self._worker.join)
        self._pool.shutdown()

    async def graph(self, structure: Structure, skin: float = 0.0) -> Graph:
        """The graph of a structure, made on another thread if it is large.

        Args:
            structure: the atoms.
            skin: Å, by which the cutoff is enlarged.

        Raises:
            InputError: the structure has no graph, or one with too many edges.
        """
        began = time.perf_counter()
        cutoff = self.backend.card.cutoff
        wanted = (structure, cutoff + skin, int(self._max_edges * (1.0 + skin / cutoff) ** 3))
        if len(structure) <= INLINE_ATOMS:
            graph = build_graph(*wanted)
        else:
            graph = await self._loop.run_in_executor(self._pool, build_graph, *wanted)
        self._observer.graph(time.perf_counter() - began)
        return graph

    def _flush(self) -> None:
        """Show the worker all that arrived in one turn of the event loop at once, so that it shares a batch."""
        with self._wake:
            self._waiting.extend(self._arrived)
            self._wake.notify()
        self._arrived.clear()

    def _work(self) -> None:
        while tasks := self._next():
            began = time.perf_counter()
            outcomes = evaluate(self.backend, [task.graph for task in tasks])
            seconds = time.perf_counter() - began
            costs, waited = [task.cost for task in tasks], [began - task.since for task in tasks]
            done = _Done(tasks, _absorb(tasks, outcomes), costs, waited, seconds)
            self._requeue([task for task, result in zip(tasks, done.results, strict=True) if result is None])
            self._loop.call_soon_threadsafe(self._deliver, done)

    def _requeue(self, tasks: list[Task]) -> None:
        now = time.perf_counter()
        for task in tasks:
            task.since = now
        with self._wake:
            self._waiting.extend(tasks)

    def _next(self) -> list[Task]:
        with self._wake:
            while True:
                self._drop_abandoned()
                if self._waiting:
                    return self._pop(take([i.cost for i in islice(self._waiting, self._horizon)], self.budget))
                if self._stopping:
                    return []
                self._wake.wait()

    @property
    def _horizon(self) -> int:
        return self.budget.structures + LOOK_AHEAD

    def _drop_abandoned(self) -> None:
        if any(item.future.cancelled() for item in self._waiting):
            self._waiting = deque(item for item in self._waiting if not item.future.cancelled())

    def _pop(self, indices: list[int]) -> list[Task]:
        window = [self._waiting.popleft() for _ in range(indices[-1] + 1)]
        chosen = set(indices)
        self._waiting.extendleft(item for i, item in reversed(list(enumerate(window))) if i not in chosen)
        return [window[i] for i in indices]

    def _deliver(self, done: _Done) -> None:
        self._speed.add(sum(cost.atoms for cost in done.costs), done.seconds)
        self._observer.batch(done.costs, done.waited, done.seconds)
        for task, result in zip(done.tasks, done.results, strict=True):
            if result is None or task.future.done():
                continue
            if isinstance(result, EquipotError):
                task.future.set_exception(result)
            else:
                task.future.set_result(result)


def _absorb(tasks: list[Task], outcomes: list[Outcome]) -> list[Any]:
    """What each task has to say after a batch, in the order of the tasks."""
    results: list[Any] = [None] * len(tasks)
    for kind in {type(task) for task in tasks}:
        places = [i for i, task in enumerate(tasks) if type(task) is kind]
        try:
            said = kind.absorb([tasks[i] for i in places], [outcomes[i] for i in places])
        except Exception as error:
            log.exception("a batch of %s could not be taken further", kind.__name__)
            said = [BackendError(f"internal error after the evaluation: {type(error).__name__}: {error}")] * len(places)
        for place, result in zip(places, said, strict=True):
            results[place] = result
    return results


class _Speed:
    """Atoms a second, as a running mean over batches; what Retry-After is estimated from."""

    def __init__(self) -> None:
        self._value = 0.0

    def add(self, atoms: int, seconds: float) -> None:
        latest = atoms / max(seconds, 1e-6)
        self._value = latest if not self._value else 0.8 * self._value + 0.2 * latest

    def seconds(self, atoms: int) -> float:
        """How long so many atoms take, rounded up, within `RETRY_SECONDS`."""
        shortest, longest = RETRY_SECONDS
        return min(max(float(math.ceil(atoms / self._value)) if self._value else shortest, shortest), longest)
