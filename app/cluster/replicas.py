"""Replicas: what the door of a service on a cluster asks in the place of its own models.

Structures of whatever requests wait are sent in pieces of about a batch, so that what Ray takes for a
call is shared. A piece that was at a replica when that ended goes to another one; of a piece that has
ended two, each structure goes alone; one that ends three gets an error. Whoever waits for a structure
is given one result, whichever came first.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from app.atoms.prediction import Prediction
from app.cluster.engine import Opened, Piece
from app.engine.potential import Potential, PotentialOptions
from app.errors import BackendError, EquipotError
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered, Result
from app.store.card import ModelCard

WAITING = 4
"""Pieces for each replica that there may be, on their way; what comes meanwhile makes larger ones."""
SMALLEST = 16
"""Structures of a piece of many, at least."""
ALONE = 2
"""Replicas that a piece may end before its structures go alone."""
HOPELESS = 3
"""Replicas that one structure may end."""


class Replica(Protocol):
    """Calls of an `Engine`, of whichever replica has least to do."""

    opened: Callable[[str], Awaitable[Opened | EquipotError]]
    answer: Callable[[Piece], Awaitable[list[Result]]]


class AbsentPotential(Potential):
    """A model that is run elsewhere: its card and its queue.

    Args:
        told: of it by a replica.
        options: how it is run.
        most: replicas that there may be.
        waiting: structures of it that wait to be sent.
    """

    def __init__(
        self, told: Opened, options: PotentialOptions, most: int, waiting: Callable[[], int]
    ) -> None:
        of_all = replace(
            told.budget,
            structures=told.budget.structures * most,
            atoms=told.budget.atoms * most,
            source=f"{told.budget.source}, of {most} replicas",
        )
        super().__init__(Absent(told.card, told.runs_on), told.digest, of_all, options)
        self._waiting = waiting

    @property
    def depth(self) -> int:
        """Structures that wait to be sent to a replica."""
        return self._waiting()


class Absent:
    """The backend of a model that is run elsewhere.

    Args:
        card: of the model.
        runtime: name and version of what computes.
    """

    is_strictly_local = False

    def __init__(self, card: ModelCard, runtime: str) -> None:
        self.card, self.runtime = card, runtime

    def __call__(self, graph: Any) -> Prediction:
        """Nothing is evaluated here."""
        raise BackendError(f"{self.card.reference} is run by replicas, and not here")

    energies = __call__


@dataclass(slots=True, eq=False)
class _Asked:
    """A structure that somebody waits for."""

    entry: Entry
    result: "asyncio.Future[Result]"


Key: TypeAlias = tuple[str, str, Hashable]


@dataclass(slots=True, eq=False)
class _Queue:
    """Structures that are asked alike, of callers that take turns."""

    request: PredictRequest
    callers: dict[Hashable, deque[_Asked]] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """How many there are."""
        return sum(map(len, self.callers.values()))

    def add(self, caller: Hashable, asked: _Asked) -> None:
        """One more."""
        self.callers.setdefault(caller, deque()).append(asked)

    def filled(self, most: int, most_atoms: int) -> list[_Asked]:
        """The structures of the next piece, one of each caller in turn; those that nobody waits for any
        more are left out.
        """
        piece: list[_Asked] = []
        atoms = 0
        while self.callers and len(piece) < most:
            caller, asked = next(iter(self.callers.items()))
            if not asked[0].result.done():
                atoms += asked[0].entry.n_atoms
                if piece and atoms > most_atoms:
                    break
                piece.append(asked[0])
            asked.popleft()
            del self.callers[caller]
            if asked:
                self.callers[caller] = asked  # behind all others
        return piece


class Replicas:
    """Has structures answered by replicas; belongs to one event loop.

    Args:
        replica: to call them by.
        most: replicas that there may be.
        lost: exceptions that say that a replica ended in the middle of a call.
    """

    def __init__(self, replica: Replica, most: int, lost: tuple[type[Exception], ...]) -> None:
        self._replica, self._most, self._lost = replica, most, lost
        self._budgets: dict[str, tuple[int, int]] = {}
        self._opened: dict[str, Potential] = {}
        self._queues: dict[Key, _Queue] = {}
        self._last: tuple[PredictRequest | None, Hashable] = (None, None)
        self._under_way = 0
        self._is_due = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def opened(self, reference: str, options: PotentialOptions) -> Potential:
        """See `app.service.elsewhere`; its budget is that of all replicas that there may be."""
        told = await self._asked(reference)
        if isinstance(told, EquipotError):
            raise told
        name = told.card.reference
        self._budgets[name] = told.budget.structures, told.budget.atoms
        self._opened[name] = AbsentPotential(told, options, self._most, lambda: self._waiting(name))
        return self._opened[name]

    async def _asked(self, reference: str) -> Opened | EquipotError:
        for _ in range(HOPELESS):
            try:
                return await self._replica.opened(reference)
            except self._lost:
                continue
        return BackendError(f"each replica ended that loaded {reference}")

    async def answered(
        self, potential: Potential, entry: Entry, request: PredictRequest
    ) -> Answered:
        """See `app.service.elsewhere`."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        key = potential.reference, potential.digest, self._options(request)
        queue = self._queues.setdefault(key, _Queue(replace(request, entries=[], caller=None)))
        queue.add(request.caller, _Asked(entry, future))
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send)
        result = await future
        if isinstance(result, EquipotError):
            raise result
        return result

    def _waiting(self, reference: str) -> int:
        queues = (queue for key, queue in self._queues.items() if key[0] == reference)
        return sum(queue.waiting for queue in queues)

    def _options(self, request: PredictRequest) -> Hashable:
        """What is asked, such that requests which ask alike have the same."""
        if self._last[0] is not request:
            told = replace(request, entries=[], model=None, caller=None)
            self._last = request, repr(told)
        return self._last[1]

    def _send(self) -> None:
        """Send what waits, as far as there is room for it; those who ask differently take turns."""
        self._is_due = False
        while self._queues and self._under_way < WAITING * self._most:
            key = next(iter(self._queues))
            queue = self._queues.pop(key)
            structures, atoms = self._budgets[key[0]]
            share = max(SMALLEST, math.ceil(queue.waiting / self._most))
            piece = queue.filled(min(structures, share), atoms)
            if queue.callers:
                self._queues[key] = queue
            if piece:
                self._begin(key, queue.request, piece)

    def _begin(self, key: Key, request: PredictRequest, piece: list[_Asked]) -> None:
        self._under_way += 1
        task = asyncio.ensure_future(self._answer(key, request, piece))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._under_way -= 1
        self._send()

    async def _answer(self, key: Key, request: PredictRequest, piece: list[_Asked]) -> None:
        """Have a piece answered, whatever becomes of replicas."""
        ended = 0
        while ended < ALONE:
            try:
                self._give(piece, await self._results(key, request, piece))
                return
            except self._lost:
                ended += 1
        for asked in piece:
            self._give([asked], await self._alone(key, request, asked, 0 if piece[1:] else ended))

    async def _alone(
        self, key: Key, request: PredictRequest, asked: _Asked, ended: int
    ) -> list[Result]:
        while ended < HOPELESS:
            try:
                return await self._results(key, request, [asked])
            except self._lost:
                ended += 1
        return [BackendError("each replica ended that evaluated this structure")]

    async def _results(
        self, key: Key, request: PredictRequest, piece: list[_Asked]
    ) -> list[Result]:
        entries = [asked.entry for asked in piece]
        sent = Piece(key[0], key[1], replace(request, entries=entries))
        began = time.monotonic()
        try:
            results = await self._replica.answer(sent)
        except self._lost:
            raise
        except Exception as error:
            return [BackendError(f"a replica failed: {error}")] * len(piece)
        # Pieces are under way together, so that each has a share of the time.
        seconds = (time.monotonic() - began) / max(1, self._under_way)
        atoms = sum(entry.n_atoms for entry in entries)
        self._opened[key[0]].admission.evaluated(atoms, seconds)
        return results

    def _give(self, piece: list[_Asked], results: list[Result]) -> None:
        for asked, result in zip(piece, results, strict=True):
            if not asked.result.done():
                asked.result.set_result(result)
