"""Steps of an export: which one of how many, and how long each took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Taken(NamedTuple):
    """A step that has ended.

    Attributes:
        what: was done.
        seconds: that it took.
    """

    what: str
    seconds: float


class Steps:
    """Keeps what each step took, and shows nothing; a subclass shows it.

    Attributes:
        taken: the steps so far, in their order.
        total: how many there will have been, as far as that is known.
    """

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.total = 0

    def expect(self, steps: int) -> None:
        """So many are still to come."""
        self.total = len(self.taken) + steps

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """The length of a block is a step, which counts if it succeeds."""
        self.total = max(self.total, len(self.taken) + 1)
        self.began(what)
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self.ended(what, seconds)
        self.taken.append(Taken(what, seconds))

    @property
    def number(self) -> str:
        """Of the step under way, as in `3/7`."""
        return f"{len(self.taken) + 1}/{self.total}"

    def began(self, what: str) -> None:
        """Show that a step begins."""

    def ended(self, what: str, seconds: float) -> None:
        """Show that it has ended, well or not."""

    def say(self, text: str) -> None:
        """Show something that the user should know."""
