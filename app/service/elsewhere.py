"""Elsewhere: models that are run by other processes, as the service sees them."""

from typing import Protocol

from app.engine.potential import Potential, PotentialOptions
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered


class Elsewhere(Protocol):
    """Opens models in other processes, and has their structures answered there."""

    async def opened(self, reference: str, options: PotentialOptions) -> Potential:
        """What stands here for a model: its card, its queue, and no numerics.

        Args:
            reference: `name@version`.
            options: how it is run.

        Raises:
            EquipotError: it cannot be loaded there.
        """
        ...

    async def answered(
        self, potential: Potential, entry: Entry, request: PredictRequest
    ) -> Answered:
        """The answer for one structure.

        Args:
            potential: what stands here for its model.
            entry: the structure.
            request: what is asked of it.

        Raises:
            EquipotError: it has none; says why.
        """
        ...
