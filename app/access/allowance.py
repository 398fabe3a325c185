"""Allowance: how often and how much at a time one key may ask."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.access.keys import Key
from app.errors import RateLimited

MINUTE = 60.0


class Allowance:
    """What one key has left; belongs to one event loop.

    Requests are taken from a bucket that holds those of a minute and fills steadily, so that at most
    twice the rate comes within any minute.
    """

    def __init__(self) -> None:
        self._tokens = math.inf
        self._filled = time.monotonic()
        self._running = 0

    @contextmanager
    def request(self, key: Key) -> Iterator[None]:
        """One request, for the length of the block.

        Raises:
            RateLimited: too many in the last minute, or at a time; says when to come back.
        """
        self._take(key)
        if key.concurrency is not None and self._running >= key.concurrency:
            raise RateLimited(
                f"key '{key.name}' has {self._running} requests under way, at most "
                f"{key.concurrency} may be (concurrency); send the next one after an answer"
            )
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def _take(self, key: Key) -> None:
        if key.rate is None:
            return
        now = time.monotonic()
        filled = self._tokens + (now - self._filled) * key.rate / MINUTE
        self._tokens, self._filled = min(filled, float(key.rate)), now
        if self._tokens < 1:
            wait = (1 - self._tokens) * MINUTE / key.rate
            raise RateLimited(
                f"key '{key.name}' may send {key.rate} requests a minute (rate); try again in "
                f"{math.ceil(wait)} s, or put more structures into a request",
                retry_after=math.ceil(wait),
            )
        self._tokens -= 1
