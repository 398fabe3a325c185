"""Noticing that a client left before its answer was ready."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request


class ClientLeft(Exception):
    """Nobody is there any more to read the answer."""


@asynccontextmanager
async def cancelled_on_disconnect(request: Request) -> AsyncIterator[None]:
    """Cancel the block when the client closes the connection; the request's body must have been read.

    Raises:
        ClientLeft: the block was cancelled for this reason.
    """
    task = asyncio.current_task()
    left = False

    def cancel(watcher: asyncio.Task[None]) -> None:
        nonlocal left
        if not watcher.cancelled() and task is not None:
            left = True
            task.cancel()

    watcher = asyncio.get_running_loop().create_task(_disconnected(request))
    watcher.add_done_callback(cancel)
    try:
        yield
    except asyncio.CancelledError:
        if left:
            raise ClientLeft from None
        raise
    finally:
        watcher.remove_done_callback(cancel)
        watcher.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
