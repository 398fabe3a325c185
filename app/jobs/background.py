"""What is done again and again beside everything else, and threads for what blocks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

THREADS = 4
BACKOFF = 5.0
"""Seconds to wait after something that should not happen, such as a full disk."""

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


class Background:
    """The loops and threads of jobs, on one event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="jobs")
        self._loops: list[asyncio.Task[None]] = []

    async def threaded(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of work that blocks."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(work, *args, **kwargs))

    def repeat(self, step: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Do something from now on again and again, with pauses, whatever comes of it."""
        self._loops.append(asyncio.create_task(self._again(step, seconds)))

    async def stop(self) -> None:
        """End all loops."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    def close(self) -> None:
        """End the threads, once they have nothing to do."""
        self._pool.shutdown()

    async def _again(self, step: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await step()
                pause = seconds
            except Exception:
                log.exception("jobs: %s failed; it is tried again", step.__name__.strip("_"))
                pause = max(seconds, BACKOFF)
            await asyncio.sleep(pause)
