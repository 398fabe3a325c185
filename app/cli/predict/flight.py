"""Structures under way: answered together, given back in order, and never too many at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from functools import partial
from typing import NamedTuple, TypeAlias

from app.atoms.structure import Structure
from app.cli.predict.entries import Read
from app.protocol.request import Entry
from app.protocol.response import Result
from app.service.load import Load

BEHIND = 8
"""Times as many may be kept, of which most have ended and wait for one before them."""

Answer: TypeAlias = Callable[[Entry], Awaitable[Result]]


class Finished(NamedTuple):
    """An entry as it was read, and its result."""

    read: Read
    result: Result


class Flight:
    """Answers entries while they are read; belongs to one event loop.

    Args:
        reads: what is to be answered.
        answer: one of them.
        window: the most that is under way.
    """

    def __init__(self, reads: Iterator[Read], answer: Answer, window: Load) -> None:
        self._reads, self._answer, self._window = reads, answer, window
        self._kept: deque[tuple[Read, asyncio.Task[Result]]] = deque()
        self._in_memory, self._under_way = Load(), Load()
        self._changed = asyncio.Event()
        self._stopped = False

    @property
    def under_way(self) -> int:
        """Structures that have been read and not been answered."""
        return self._under_way.structures

    def stop(self) -> None:
        """Give up what is under way; what has been answered in order is still given back."""
        self._stopped = True
        self._changed.set()

    async def results(self) -> AsyncGenerator[list[Finished], None]:
        """What has been answered, in the order of the input, as soon as that is known."""
        try:
            while not self._stopped:
                self._changed.clear()
                self._launch()
                if not self._kept:
                    return
                if not self._kept[0][1].done():
                    await self._changed.wait()
                if ended := self._ended():
                    yield ended
        finally:
            await self._cancel()

    def _launch(self) -> None:
        while self._under_way.below(self._window) and self._in_memory.below(self._window, BEHIND):
            read = next(self._reads, None)
            if read is None:
                return
            task = asyncio.ensure_future(self._answer(read.entry))
            atoms = _atoms(read)
            self._in_memory.add(atoms)
            self._under_way.add(atoms)
            task.add_done_callback(partial(self._done, atoms))
            self._kept.append((read, task))

    def _done(self, atoms: int, _: asyncio.Task[Result]) -> None:
        self._under_way.remove(atoms)
        self._changed.set()

    def _ended(self) -> list[Finished]:
        """The oldest, as far as they have ended."""
        ended = []
        while self._kept and self._kept[0][1].done():
            read, task = self._kept.popleft()
            self._in_memory.remove(_atoms(read))
            ended.append(Finished(read, task.result()))
        return ended

    async def _cancel(self) -> None:
        tasks = [task for _, task in self._kept]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _atoms(read: Read) -> int:
    structure = read.entry.structure
    return len(structure) if isinstance(structure, Structure) else 0
