"""Dynamic batching without a timer: what waits while the backend is busy is the next batch.

A structure gets its graph and waits for the workers, in the lanes of `app.engine.scheduler`, whole
or in pieces.
"""

from collections.abc import Hashable
from typing import Protocol

from app.atoms.decomposition import Assembly, Piece
from app.atoms.neighbors import too_many
from app.atoms.prediction import StructurePrediction
from app.atoms.regions import Region
from app.atoms.structure import Structure
from app.backends import Backend
from app.engine.budget import Budget
from app.engine.graph_builder import GraphBuilder, Look
from app.engine.pieces import cutter_of
from app.engine.scheduler import Lane
from app.engine.task import SinglePoint, cost_of
from app.engine.workers import Workers
from app.errors import OutOfMemory, StructureTooLarge
from app.telemetry.tracing import past_span, span


class Divider(Protocol):
    """Evaluates large structures in the place of this process.

    Attributes:
        least: atoms of the structures that it is meant for.
    """

    least: int

    def evaluate(
        self, structure: Structure, derivatives: bool, look: Look | None
    ) -> StructurePrediction:
        """The prediction for a structure.

        Raises:
            EquipotError: as `Batcher.predict`.
        """
        ...

    def close(self) -> None:
        """Nothing more will be asked."""
        ...


class Batcher:
    """Evaluates single structures, together with whatever else waits for the same backend.

    Args:
        backend: what evaluates them.
        graphs: makes their graphs.
        workers: whose queue they wait in.
        divider: evaluates large ones, if there is something that does.
    """

    def __init__(
        self,
        backend: Backend,
        graphs: GraphBuilder,
        workers: Workers,
        divider: Divider | None = None,
    ) -> None:
        self._backend, self._divider = backend, divider
        self._graphs = graphs
        self._workers = workers
        self._card = backend.card
        self._cuts_for_free = backend.is_strictly_local

    async def predict(
        self,
        structure: Structure,
        caller: Hashable,
        derivatives: bool,
        look: Look | None = None,
    ) -> StructurePrediction:
        """The prediction for one structure. Cancelling the call takes it out of the queue.

        Args:
            structure: the atoms.
            caller: for whom; callers take turns.
            derivatives: whether forces and stress are wanted, or energies alone.
            look: is shown what was found in the structure, or its pieces, before they wait; a piece
                maybe twice.

        Raises:
            InputError: the structure cannot be turned into a graph, or not be answered by the
                model.
            OutOfMemory: not even a piece of it fits into memory.
            BackendError: the model failed on it, or gave a number that is not finite.
        """
        if self._divider is not None and len(structure) >= self._divider.least:
            return await self._graphs.threaded(self._divider.evaluate, structure, derivatives, look)
        if self._cuts_for_free and len(structure) > self._budget.atoms:
            return await self._in_pieces(structure, caller, derivatives, look)
        try:
            with span("graph"):
                graph, findings = await self._graphs.built(structure, compares=look is not None)
        except StructureTooLarge:
            if self._graphs.at_once >= self._graphs.max_edges:
                raise
            return await self._in_pieces(structure, caller, derivatives, look)
        if not self._budget.goes_whole(cost_of(graph), self._cuts_for_free):
            return await self._in_pieces(structure, caller, derivatives, look)
        if look is not None:
            look(findings)
        try:
            return await self._evaluated(SinglePoint(graph, caller, derivatives))
        except OutOfMemory:
            if len(structure) == 1:
                raise
        return await self._in_pieces(structure, caller, derivatives, look)

    @property
    def _budget(self) -> Budget:
        """As it is now: a measurement or a shortage of memory changes it."""
        return self._workers.budget

    async def _in_pieces(
        self, structure: Structure, caller: Hashable, derivatives: bool, look: Look | None
    ) -> StructurePrediction:
        """Evaluate a structure piece by piece; while one is evaluated, the next is cut."""
        cutter = await self._graphs.threaded(
            cutter_of, Region.of(structure), self._backend, lambda: self._budget, derivatives
        )
        assembly = Assembly(len(structure), self._cuts_for_free)
        edges = 0
        cutting = self._graphs.threaded(cutter.next)
        try:
            while (piece := await cutting) is not None:
                edges += piece.edges
                self._check(edges)
                cutting = self._graphs.threaded(cutter.next)
                await self._graphs.show(piece, look)
                try:
                    assembly.add(piece, await self._piece(piece, caller, derivatives))
                except OutOfMemory:
                    if piece.core == 1:
                        raise
                    edges -= piece.edges
                    for unevaluated in (await cutting, piece):
                        if unevaluated is not None:
                            cutter.put_back(unevaluated)
                    cutting = self._graphs.threaded(cutter.next)
        finally:
            cutting.cancel()
        return assembly.prediction()

    async def _piece(
        self, piece: Piece, caller: Hashable, derivatives: bool
    ) -> StructurePrediction:
        return await self._evaluated(SinglePoint(piece.graph, caller, derivatives), Lane.LARGE)

    async def _evaluated(self, task: SinglePoint, lane: Lane | None = None) -> StructurePrediction:
        """The prediction of a task, with its spans."""
        try:
            return await self._workers.run(task, lane)
        finally:
            if task.evaluation is not None:
                past_span("queue", task.since, task.evaluation[0])
                past_span("evaluate", *task.evaluation)

    def _check(self, edges: int) -> None:
        most = self._graphs.max_edges
        if edges > most:
            raise StructureTooLarge(too_many(f"more than {edges}", self._card.cutoff, most))
