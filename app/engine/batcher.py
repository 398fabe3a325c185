"""Dynamic batching without a timer: what waits while the backend is busy is the next batch.

Requests are admitted against a bound, get their neighbour lists, and wait for the workers in the
lanes of `app.engine.scheduler`, whole or in pieces.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ParamSpec, TypeVar

from app.atoms.decomposition import Cutter, Whole
from app.atoms.graph import Graph
from app.atoms.neighbors import MAX_EDGES, too_many
from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.backends import Backend
from app.engine.admission import Bound, House
from app.engine.graph_builder import Lists
from app.engine.observer import Observer, Silent
from app.engine.scheduler import Budget, Lane
from app.engine.task import Task, cost_of
from app.engine.workers import IN_FLIGHT, Workers
from app.errors import OutOfMemory, StructureTooLarge

PIECE_EDGES = 2_000_000
"""Edges that the search for one piece of a strictly local model may find, those within its halo
included.
"""

P = ParamSpec("P")
T = TypeVar("T")


class Batcher:
    """Evaluates structures on one backend, many at a time.

    Belongs to the event loop that started it.

    Args:
        backend: what evaluates them.
        budget: the largest batch to begin with.
        bound: how much may be admitted.
        max_edges: of one structure.
        observer: is told of batches and neighbour lists.
        in_flight: batches at the same time.
    """

    def __init__(
        self,
        backend: Backend,
        budget: Budget,
        bound: Bound,
        max_edges: int,
        observer: Observer | None = None,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self.backend = backend
        self._house = House(bound)
        self._max_edges = max_edges
        self._observer = observer or Silent()
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="graphs")
        self._workers = Workers(backend, budget, self._observer, self._house.evaluated, in_flight)

    @property
    def budget(self) -> Budget:
        """The largest batch, as it is now."""
        return self._workers.budget

    @property
    def depth(self) -> int:
        """Structures that wait for their batch."""
        return self._workers.depth

    def start(self) -> None:
        """Start the worker threads. To be called on the event loop that will await the results."""
        self._loop = asyncio.get_running_loop()
        self._lists = Lists(self._loop, self._pool)
        self._workers.start()

    def admit(self, structures: int, atoms: int) -> AbstractContextManager[None]:
        """A place in the house for as long as the block lasts, however many evaluations it asks
        for.

        Raises:
            Overloaded: the house is full; says when to come back.
            Unavailable: the batcher is shutting down.
        """
        return self._house.admit(structures, atoms)

    def check_room(self, structures: int = 1, atoms: int = 1) -> None:
        """Whether so much could be admitted now.

        Raises:
            Overloaded: the house is full; says when to come back.
            Unavailable: the batcher is shutting down.
        """
        self._house.check_room(structures, atoms)

    async def predict(self, structure: Structure, derivatives: bool = True) -> StructurePrediction:
        """Evaluate one structure, together with whatever else is waiting.

        Needs a place from `admit`.

        A structure that the budget does not bear is evaluated in pieces; where the model is not
        strictly local, only if it is beyond the budget's capacity. Cancelling the call takes the
        structure out of the queue.

        Args:
            structure: the atoms.
            derivatives: whether forces and stress are wanted, or energies alone.

        Raises:
            InputError: the structure cannot be turned into a graph, or not be answered by the
                model.
            OutOfMemory: not even a piece of it fits into memory.
            BackendError: the model failed on it, or gave a number that is not finite.
        """
        if len(structure) > self.budget.atoms and self.backend.is_strictly_local:
            return await self._in_pieces(structure, derivatives)
        graph = await self.graph(structure)
        cost = cost_of(graph)
        local = self.backend.is_strictly_local
        if (
            self.budget.bears(cost)
            if local
            else cost.edges <= self.budget.capacity or self.budget.holds(cost)
        ):
            return await self._whole_or_in_pieces(structure, graph, derivatives)
        return await self._in_pieces(structure, derivatives)

    async def run(self, task: Task) -> Any:
        """What a task has to say once it is over.

        Needs a place from `admit`; cancelling takes it out of the queue.
        """
        return await self._queued(task, Lane.SMALL if self.budget.holds(task.cost) else Lane.LARGE)

    async def graph(self, structure: Structure, skin: float = 0.0) -> Graph:
        """The graph of a structure, made on another thread if it is large or one of many.

        Args:
            structure: the atoms.
            skin: Å, by which the cutoff is enlarged.

        Raises:
            InputError: the structure has no graph, or one with too many edges.
        """
        began = time.perf_counter()
        graph = await self._lists.graph(
            structure, self.backend.card.cutoff + skin, self._most_edges(skin)
        )
        self._observer.graph(time.perf_counter() - began)
        return graph

    def _most_edges(self, skin: float) -> int:
        return (
            self._max_edges
            if not skin
            else int(self._max_edges * (1.0 + skin / self.backend.card.cutoff) ** 3)
        )

    def when_idle(self, steps: Iterator[Budget | None]) -> None:
        """Have short steps of work done on the backend while nothing waits and nothing is
        evaluated.

        Args:
            steps: what they yield other than None is the new budget.
        """
        self._workers.when_idle(steps)

    async def stop(self) -> None:
        """Refuse what is new, finish what has been admitted, end the workers."""
        await self._house.close()
        await self._workers.stop()
        self._pool.shutdown()

    async def _whole_or_in_pieces(
        self, structure: Structure, graph: Graph, derivatives: bool
    ) -> StructurePrediction:
        try:
            prediction: StructurePrediction = await self.run(Task(graph, derivatives))
            return prediction
        except OutOfMemory:
            if len(structure) == 1:
                raise
        return await self._in_pieces(structure, derivatives)

    async def _in_pieces(self, structure: Structure, derivatives: bool) -> StructurePrediction:
        """Evaluate a structure piece by piece; while one is evaluated, the next is cut."""
        cutter = await self._threaded(self._cutter, structure, derivatives)
        whole = Whole(structure, self.backend.is_strictly_local)
        edges = 0
        cutting = self._threaded(cutter.next)
        try:
            while (piece := await cutting) is not None:
                edges += piece.edges
                if edges > self._max_edges:
                    raise StructureTooLarge(
                        too_many(f"more than {edges}", self.backend.card.cutoff, self._max_edges)
                    )
                cutting = self._threaded(cutter.next)
                try:
                    whole.add(piece, await self._queued(Task(piece.graph, derivatives), Lane.LARGE))
                except OutOfMemory:
                    if piece.core == 1:
                        raise
                    edges -= piece.edges
                    for unevaluated in (await cutting, piece):
                        if unevaluated is not None:
                            cutter.put_back(unevaluated)
                    cutting = self._threaded(cutter.next)
        finally:
            cutting.cancel()
        return whole.prediction()

    def _cutter(self, structure: Structure, derivatives: bool) -> Cutter:
        """What cuts a structure into pieces that fit the budget, whatever it will have become by
        then.
        """
        card, local = self.backend.card, self.backend.is_strictly_local

        def fits(graph: Graph) -> bool:
            cost = cost_of(graph)
            return self.budget.holds(cost) if local else cost.edges <= self.budget.capacity

        most_atoms = self.budget.atoms if local else len(structure)
        most_edges = PIECE_EDGES if local else int(min(self.budget.capacity, MAX_EDGES))
        reach = (card.cutoff, card.receptive_field)
        return Cutter(structure, *reach, local, most_atoms, most_edges, fits, derivatives)

    async def _queued(self, task: Task, lane: Lane) -> Any:
        self._workers.put(task, lane)
        return await task.future

    def _threaded(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        return self._loop.run_in_executor(self._pool, partial(work, *args, **kwargs))
