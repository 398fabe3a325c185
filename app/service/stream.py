"""Stream: structures come in and results go out as they finish, in bounded memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from app.engine.budget import Budget
from app.engine.potential import Potential
from app.errors import EquipotError, InvalidRequest, Overloaded
from app.protocol.encode import fits
from app.protocol.lines import sink
from app.protocol.request import Entry, Kind, PredictRequest
from app.protocol.response import Result
from app.service.answer import Aids, answer
from app.service.choice import Choice
from app.service.load import Load
from app.service.threads import INLINE_ATOMS, maybe_threaded
from app.telemetry.context import count_structure

BATCHES = 2
"""Batches whose structures and atoms may be under way: one is evaluated, one waits."""
TURN = 32
"""Structures after which others have theirs on the event loop."""
LONGEST_PAUSE = 1.0
"""Seconds after which a structure that found the queue full tries again."""


class Ended(NamedTuple):
    """An entry with its result, and what of which model's room it takes until that is taken."""

    entry: Entry
    result: Result
    potential: Potential
    atoms: int


class Stream:
    """Answers entries as they come, in the order in which they finish; belongs to one event loop.

    From the time it is read until its result has been taken, an entry is *under way*. While as many
    are as `BATCHES` batches of its model may have, nothing more is read: who does not take results is
    not read from, and costs nobody else anything.

    Args:
        choice: the model, or those of which each structure has its own.
        request: what is asked of each structure; its entries are not looked at.
        kind: how results are written.
        aids: what answers need beside a model.

    Attributes:
        models: which answer.
        sink: writes results.
        close: is to be called at its end.
    """

    close: Callable[[], None]

    def __init__(
        self,
        choice: Choice,
        request: PredictRequest,
        kind: Kind,
        aids: Aids,
    ) -> None:
        self._choice, self._request, self._kind = choice, request, kind
        self._aids = aids
        self.models = choice.models
        self.sink = sink(kind, choice.only, request)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready: list[Ended] = []
        self._under_way = {potential: Load() for potential in choice.potentials}
        self._read_so_far = 0
        self._changed, self._room = asyncio.Event(), asyncio.Event()

    async def parts(self, entries: AsyncIterator[Entry]) -> AsyncGenerator[bytes, None]:
        """What is answered, part by part.

        Args:
            entries: read as there is room for them.

        Raises:
            EquipotError: what reading entries raised, after what had been read was answered.
            Exception: the same, of another kind, at once.
        """
        yield self.sink.begin()
        reading = asyncio.ensure_future(self._read(entries))
        reading.add_done_callback(lambda _: self._changed.set())
        try:
            while self._tasks or self._ready or not reading.done():
                await self._changed.wait()
                _raise_surprise(reading)
                self._changed.clear()
                taken, self._ready = self._ready, []
                if taken:
                    yield await maybe_threaded(_atoms(taken) > INLINE_ATOMS, self._written, taken)
                    self._leave(taken)
            reading.result()
            yield self.sink.end()
        finally:
            await _cancel(reading, *self._tasks)

    async def _read(self, entries: AsyncIterator[Entry]) -> None:
        async for entry in entries:
            potential = self._choice.potential(entry, self._request)
            await self._enter(entry, potential)
            self._read_so_far += 1
            entry = self._one_of_its_kind(entry)
            if self._read_so_far % TURN == 0:
                await asyncio.sleep(0)  # others' turn, however quickly lines are read
            if isinstance(entry.structure, EquipotError):
                count_structure(atoms=0)
                self._ready.append(Ended(entry, entry.structure, potential, 0))
                self._changed.set()
                continue
            fitting = fits(self._choice.named(entry, potential), self._kind)
            task = asyncio.ensure_future(self._answer(fitting, potential, entry.n_atoms))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _one_of_its_kind(self, entry: Entry) -> Entry:
        """The entry, with an error where a task is asked for that is of one structure alone."""
        try:
            if self._request.task is not None:
                self._request.task.check_count(self._read_so_far)
        except InvalidRequest as error:
            return replace(entry, structure=error)
        return entry

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed.set()

    async def _enter(self, entry: Entry, potential: Potential) -> None:
        """Wait for room; whatever is allowed at all may be under way alone."""
        under_way = self._under_way[potential]
        while under_way.structures and not _has_room(
            potential.workers.budget, under_way, entry.n_atoms
        ):
            self._room.clear()
            await self._room.wait()
        under_way.add(entry.n_atoms)

    def _leave(self, taken: list[Ended]) -> None:
        for each in taken:
            self._under_way[each.potential].remove(each.atoms)
        self._room.set()

    async def _answer(self, entry: Entry, potential: Potential, atoms: int) -> None:
        request, choice = replace(self._request, entries=[entry]), Choice([potential])
        result: Result | None = None
        while result is None:
            try:
                response = await answer(choice, request, self._aids)
                result = response.results[0]
            except Overloaded as error:  # others fill the queue: the stream waits
                await asyncio.sleep(min(error.retry_after, LONGEST_PAUSE))
            except EquipotError as error:
                result = error
        self._ready.append(Ended(entry, result, potential, atoms))

    def _written(self, ended: list[Ended]) -> bytes:
        return b"".join(self.sink.result(each.entry, each.result) for each in ended)


def _raise_surprise(reading: "asyncio.Future[None]") -> None:
    if reading.done() and not isinstance(reading.exception(), EquipotError | None):
        reading.result()


def _has_room(budget: Budget, under_way: Load, atoms: int) -> bool:
    return (
        under_way.structures < BATCHES * budget.structures
        and under_way.atoms + atoms <= BATCHES * budget.atoms
    )


def _atoms(ended: list[Ended]) -> int:
    return sum(each.atoms for each in ended)


async def _cancel(*tasks: "asyncio.Future[None]") -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
