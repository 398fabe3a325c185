"""Reloads that signals ask for: of many that come at once, few are made, and the last one counts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

INTERVAL = 1.0
"""Seconds from the begin of a reload to that of the next one, at least."""

log = logging.getLogger(__name__)


class Reloads:
    """One reload after the other; at most one waits, and stands for all that were asked for since
    the one before it began.

    Args:
        reload: makes one.
        interval: seconds between the begins of two.
    """

    def __init__(self, reload: Callable[[], Awaitable[None]], interval: float = INTERVAL) -> None:
        self._reload = reload
        self._interval = interval
        self._earliest = 0.0
        self._turn = asyncio.Lock()
        self._waiting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_waiting(self) -> bool:
        """Whether one was asked for that has not begun."""
        return self._waiting is not None

    def ask(self) -> None:
        """Have one made soon, from a handler of signals."""
        if self.is_waiting:
            return
        self._waiting = asyncio.get_running_loop().create_task(self._next())
        self._tasks.add(self._waiting)
        self._waiting.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Finish the one that is being made; the one that waits is not made."""
        if self._waiting is not None:
            self._waiting.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _next(self) -> None:
        async with self._turn:
            clock = asyncio.get_running_loop().time
            await asyncio.sleep(self._earliest - clock())
            self._waiting = None
            self._earliest = clock() + self._interval
            await self._reload()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("the reload failed", exc_info=error)
