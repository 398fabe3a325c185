"""Who is told how a batcher is doing."""

from collections.abc import Sequence
from typing import Protocol

from app.engine.budget import Cost


class Observer(Protocol):
    """What wants to know how the batcher is doing; called on the event loop, except where noted."""

    def batch(self, costs: Sequence[Cost], waited: Sequence[float], seconds: float) -> None:
        """One evaluation is over: its structures, how long each had waited, and how long it took."""

    def graph(self, seconds: float) -> None:
        """A neighbour list was built."""

    def shortage(self) -> None:
        """A batch, or a part of one, did not fit into memory."""


class NullObserver:
    """An observer that does nothing."""

    def batch(self, costs: Sequence[Cost], waited: Sequence[float], seconds: float) -> None:
        """Ignore it."""

    def graph(self, seconds: float) -> None:
        """Ignore it."""

    def shortage(self) -> None:
        """Ignore it."""
