"""Noticing that a client left before its answer was ready."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

LOOK_AFTER = 0.2
"""Seconds without an answer after which a request is watched: most have theirs before, and a watch
costs a task.
"""


class ClientLeft(Exception):
    """Nobody is there any more to read the answer."""


@contextmanager
def cancelled_on_disconnect(request: Request) -> Iterator[None]:
    """Cancel the task at an await within the block once the client has closed the connection.

    The request's body must have been read.

    Raises:
        ClientLeft: the block was cancelled for this reason.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    watcher: asyncio.Task[None] | None = None
    left = False

    def watch() -> None:
        nonlocal watcher
        watcher = loop.create_task(disconnected(request))
        watcher.add_done_callback(cancel)

    def cancel(watcher: asyncio.Task[None]) -> None:
        nonlocal left
        if not watcher.cancelled() and task is not None:
            left = True
            task.cancel()

    timer = loop.call_later(LOOK_AFTER, watch)
    try:
        yield
    except asyncio.CancelledError:
        if left:
            raise ClientLeft from None
        raise
    finally:
        timer.cancel()
        if watcher is not None:
            watcher.remove_done_callback(cancel)
            watcher.cancel()


async def disconnected(request: Request) -> None:
    """Wait until the client has closed the connection; the request's body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
