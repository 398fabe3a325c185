"""Work that is quick for small things and slow for large ones."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

INLINE_BYTES = 64_000
INLINE_ATOMS = 2000
"""Messages up to this size are read and written faster than they are handed to a thread."""

P = ParamSpec("P")
T = TypeVar("T")


async def maybe_threaded(large: bool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the work gives; done on a thread where it is large, so that nobody waits for it."""
    if large:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)
