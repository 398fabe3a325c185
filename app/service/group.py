"""Group: the processes that serve one port together; most often there is one."""

from typing import Protocol

from app.service.metrics import Metrics


class Group(Protocol):
    """What one process asks of all."""

    async def metrics(self) -> bytes:
        """The metrics of all processes, in Prometheus' text format."""
        ...

    async def changed(self) -> None:
        """Have the other processes take over what /admin has changed here; returns when they have.

        Raises:
            EquipotError: one of them could not; says why.
        """
        ...


class Alone:
    """A single process.

    Args:
        metrics: of it.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def metrics(self) -> bytes:
        """Its own."""
        return self._metrics.text()

    async def changed(self) -> None:
        """There is nobody to tell."""
