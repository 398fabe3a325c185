"""Dynamic batching without a timer: what waits while the backend is busy is the next batch.

Requests are admitted against a bound, get their neighbour lists outside the backend's thread, and wait in one
queue. One worker thread takes the largest batch that the budget allows, evaluates it, and hands all results
back to the event loop at once.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from app.backends import Backend
from app.errors import EquipotError, Overloaded, Unavailable
from app.evaluate import Outcome, evaluate
from app.graph import Graph
from app.neighbors import build_graph
from app.prediction import StructurePrediction
from app.structure import Structure

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


@dataclass(slots=True, eq=False)
class _Item:
    graph: Graph
    cost: Cost
    future: asyncio.Future[StructurePrediction]
    since: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class _Done:
    items: list[_Item]
    outcomes: list[Outcome]
    began: float
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
        self._waiting: deque[_Item] = deque()
        self._arrived: list[_Item] = []
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
        graph = await self._graph(structure)
        item = _Item(graph, Cost(len(graph.numbers), len(graph.edge_reverse)), self._loop.create_future())
        if not self._arrived:
            self._loop.call_soon(self._flush)
        self._arrived.append(item)
        return await item.future

    async def stop(self) -> None:
        """Refuse what is new, finish what has been admitted, end the worker."""
        self._stopping = True
        await self._idle.wait()
        with self._wake:
            self._wake.notify()
        await asyncio.to_thread(self._worker.join)
        self._pool.shutdown()

    async def _graph(self, structure: Structure) -> Graph:
        began = time.perf_counter()
        wanted = (structure, self.backend.card.cutoff, self._max_edges)
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
        while items := self._next():
            began = time.perf_counter()
            outcomes = evaluate(self.backend, [item.graph for item in items])
            done = _Done(items, outcomes, began, time.perf_counter() - began)
            self._loop.call_soon_threadsafe(self._deliver, done)

    def _next(self) -> list[_Item]:
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

    def _pop(self, indices: list[int]) -> list[_Item]:
        window = [self._waiting.popleft() for _ in range(indices[-1] + 1)]
        chosen = set(indices)
        self._waiting.extendleft(item for i, item in reversed(list(enumerate(window))) if i not in chosen)
        return [window[i] for i in indices]

    def _deliver(self, done: _Done) -> None:
        costs = [item.cost for item in done.items]
        self._speed.add(sum(cost.atoms for cost in costs), done.seconds)
        self._observer.batch(costs, [done.began - item.since for item in done.items], done.seconds)
        for item, outcome in zip(done.items, done.outcomes, strict=True):
            if item.future.done():
                continue
            if isinstance(outcome, EquipotError):
                item.future.set_exception(outcome)
            else:
                item.future.set_result(outcome)


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
