"""Tally: how many requests and structures a route was asked for, and how many of them have ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """What came to a route, and what of it has ended; belongs to one event loop.

    Attributes:
        requests: that came.
        requests_ended: of them.
        structures: of requests that could be read.
        structures_ended: of them.
    """

    requests: int = 0
    requests_ended: int = 0
    structures: int = 0
    structures_ended: int = 0

    @contextmanager
    def request(self) -> Iterator["Counted"]:
        """One request, while the block lasts."""
        counted = Counted(self)
        self.requests += 1
        try:
            yield counted
        finally:
            self.requests_ended += 1
            self.structures_ended += counted.structures


@dataclass(slots=True)
class Counted:
    """What one request has of a tally."""

    tally: Tally
    structures: int = 0

    def read(self, structures: int) -> None:
        """The request has been read, and has so many structures."""
        self.structures = structures
        self.tally.structures += structures
