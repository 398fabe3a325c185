"""One chunk under way: its structures are answered, and how far it is can be kept at any moment."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

from app.atoms.structure import Structure
from app.errors import BackendError
from app.jobs.folder import write
from app.jobs.kept import Kept
from app.jobs.leases import Lease, Progress
from app.jobs.pace import Pace
from app.jobs.records import Record, pack
from app.protocol.request import Entry
from app.protocol.response import Result
from app.relax import RelaxationState
from app.service.load import Load
from app.service.window import Window
from app.tasks import Course, Stage

CAREFUL = 3
"""Attempts without any result, after which structures go one at a time: one may end the process."""
KEEPING_SHARE = 0.05
"""Of the time, at most, is spent with keeping how far a chunk is."""
TOLD = 16
"""Structures of which it is told how far a task is with them."""
HOPELESS = 8
"""Attempts after which what is left gets an error."""

Answer: TypeAlias = Callable[[Entry, Course], Awaitable[Result]]

log = logging.getLogger(__name__)


class Chunk:
    """The structures of a lease.

    Args:
        lease: of the chunk.
        entries: its structures.
        kept: how far it is.
        path: where that is kept.
        answer: gives the result of one of them.
        window: room for what is under way.
        most: how much there may be.
        has_task: whether a task is done with each, which tells how far it is.

    Attributes:
        lease: of the chunk.
        kept: how far it is.
        pace: what was done for it here, without the time.
        has_launched: whether none of them waits for a place.
    """

    def __init__(
        self,
        lease: Lease,
        entries: list[Entry],
        kept: Kept,
        path: Path,
        answer: Answer,
        window: Window,
        most: Callable[[], Load],
        has_task: bool = False,
    ) -> None:
        self.lease, self._entries, self.kept, self._path = lease, entries, kept, path
        self._answer, self._window, self._most = answer, window, most
        kept.names = [entry.id for entry in entries]
        self._before = len(kept.records)
        self._written, self._not_before = kept.extent, 0.0
        self.has_launched = False
        self.pace = Pace()
        self._has_task, self._stages = has_task, dict[int, Stage]()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        ended, failed = len(self.kept.records), self.kept.failed
        return Progress(ended - failed, failed, ended > self._before, self._under_way())

    async def run(self, launched: Callable[[], None]) -> bytes:
        """Answer all that have no result yet; the results of all, packed.

        Args:
            launched: is told when none of them waits for a place any more.

        Raises:
            Unavailable: the model takes nothing any more.
        """
        if self.lease.attempts > HOPELESS:
            self._give_up()
        if self.lease.attempts > CAREFUL:
            await self._one_by_one()
        try:
            async with asyncio.TaskGroup() as group:
                for number in self._left():
                    atoms = _atoms(self._entries[number])
                    await self._window.enter(atoms, self._most)
                    task = group.create_task(self._one(number))
                    # By the task: one that is cancelled before its first step runs no line of its own.
                    task.add_done_callback(partial(self._leave, atoms))
                self.has_launched = True
                launched()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        records = self.kept.records
        return pack([records[number] for number in range(len(self._entries))])

    def save(self, at_once: bool = False) -> None:
        """Keep how far it is, if it is further than before; blocks.

        Args:
            at_once: also where so little time has passed since the last time that keeping it would
                take more than its share.
        """
        began, now = time.monotonic(), self.kept.extent
        if now == self._written or (began < self._not_before and not at_once):
            return
        write(self._path, self.kept.packed())
        self._written, ended = now, time.monotonic()
        self._not_before = ended + (ended - began) / KEEPING_SHARE

    def _left(self) -> list[int]:
        return [n for n in range(len(self._entries)) if n not in self.kept.records]

    async def _one(self, number: int) -> None:
        course = Course(
            self.kept.states.get(number),
            partial(self._keep, number),
            partial(self._stages.__setitem__, number) if self._has_task else None,
        )
        result = await self._answer(self._entries[number], course)
        self.pace = self.pace.plus(Pace.of(self._entries[number], result))
        self._stages.pop(number, None)
        self.kept.add(number, Record(self._entries[number], result))

    def _keep(self, number: int, state: RelaxationState) -> None:
        """Take the state of a relaxation; from another thread."""
        self.kept.states[number] = state
        if self._has_task:
            self._stages[number] = Stage("relaxation", state.steps)

    def _under_way(self) -> str | None:
        """How far tasks are, of the first structures under way."""
        stages = sorted(self._stages.copy().items())[:TOLD]
        if not stages:
            return None
        return json.dumps([(number, each.name, each.done, each.total) for number, each in stages])

    def _leave(self, atoms: int, _: asyncio.Task[None]) -> None:
        self._window.leave(atoms)

    async def _one_by_one(self) -> None:
        """Answer one after the other, and say before each which it is; who was tried before and came
        no further has ended the process, and gets an error.
        """
        number, steps = self.kept.trying
        if number in self._left() and self.kept.steps(number) <= steps:
            log.error("job %s: structure %d ends the process", self.lease.job, number)
            error = BackendError(
                "the service ended each time while this structure was evaluated; it is not tried again"
            )
            self.kept.add(number, Record(self._entries[number], error))
        for number in self._left():
            self.kept.trying = (number, self.kept.steps(number))
            await asyncio.to_thread(write, self._path, self.kept.packed())
            atoms = _atoms(self._entries[number])
            await self._window.enter(atoms, self._most)
            try:
                await self._one(number)
            finally:
                self._window.leave(atoms)

    def _give_up(self) -> None:
        error = BackendError(
            f"could not be answered in {HOPELESS} attempts; the service's log has more"
        )
        for number in self._left():
            self.kept.add(number, Record(self._entries[number], error))


def _atoms(entry: Entry) -> int:
    return len(entry.structure) if isinstance(entry.structure, Structure) else 0
