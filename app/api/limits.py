"""Limits of what clients may take of the service besides computing: connections and memory."""

import logging
import resource
import time
from dataclasses import dataclass
from typing import Self

from app.errors import Overloaded
from app.service.metrics import Metrics

SPARE_CONNECTIONS = 16
"""Beyond the limit, for health checks."""
OTHER_DESCRIPTORS = 64
"""Files and sockets that the process needs besides its connections."""
LOG_EVERY = 10.0
"""Seconds between two lines of the log about connections that were refused."""

log = logging.getLogger(__name__)


class ConnectionLimits:
    """How many connections there may be, and how long one may take for its headers.

    Args:
        most: connections.
        header_timeout: seconds from the begin of a request, or of the connection, to the end of the
            headers.
        metrics: are told of connections.
    """

    def __init__(self, most: int, header_timeout: float, metrics: Metrics) -> None:
        self.most = min(most, _descriptors() - SPARE_CONNECTIONS - OTHER_DESCRIPTORS)
        self.spare = SPARE_CONNECTIONS
        self.header_timeout = header_timeout
        self._metrics = metrics
        self._told = -LOG_EVERY
        if self.most < most:
            log.warning("at most %d connections: the system allows no more files", self.most)

    def opened(self, connections: int) -> None:
        """There are so many connections, a new one among them."""
        self._metrics.connections.set(connections)
        if connections > self.most + self.spare:
            self.refused()

    def closed(self, connections: int) -> None:
        """There are so many connections left."""
        self._metrics.connections.set(connections)

    def refused(self) -> None:
        """A connection, or a request on a spare one, was turned away."""
        self._metrics.connections_refused.labels("full").inc()
        if time.monotonic() - self._told > LOG_EVERY:
            self._told = time.monotonic()
            log.warning("all %d connections are taken; new ones are turned away", self.most)

    def slow(self) -> None:
        """A connection was closed since its headers did not come."""
        self._metrics.connections_refused.labels("slow").inc()


def _descriptors() -> int:
    """Files that the process may have open, after that was raised as far as it may raise it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 30


class BodyRoom:
    """Memory for the bodies of all requests that are being received or read.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    def share(self) -> "Share":
        """What one request takes of it, as a context; given back at the end of the block."""
        return Share(self)

    def give(self, size: int) -> None:
        """Give so many bytes back."""
        self._taken -= size

    def take(self, size: int) -> None:
        """Take so many bytes more.

        Raises:
            Overloaded: there is no room for them.
        """
        if self._taken and self._taken + size > self._most:
            raise Overloaded(
                f"bodies of {self._taken} bytes are being read, at most {self._most} may "
                "(max_bodies_bytes); try again in a second"
            )
        self._taken += size


@dataclass(slots=True)
class Share:
    """Bytes that one request has taken."""

    room: BodyRoom
    size: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.room.give(self.size)

    def grow(self, size: int) -> None:
        """Take so many bytes more.

        Raises:
            Overloaded: there is no room for them.
        """
        self.room.take(size)
        self.size += size

    def shrink(self, size: int) -> None:
        """Give so many bytes back."""
        self.room.give(size)
        self.size -= size
