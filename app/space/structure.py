"""One structure of this memory over many workers."""

import math
from collections.abc import Callable

from app.atoms.decomposition import Assembly
from app.atoms.prediction import StructurePrediction
from app.atoms.regions import Region, divide, reach_of
from app.atoms.structure import Structure
from app.backends.geometry import Findings
from app.space.evaluator import Transport
from app.store.card import ModelCard

SHARES = 4
"""Regions for each worker, so that one that others slow down holds nobody up for long. Of a model
that evaluates halos, one: they cost.
"""
MOST_ATOMS = 200_000
"""In the core of a region of a strictly local model, so that few are in memory twice."""
LEAST_ATOMS = 1000
"""Smaller structures are evaluated faster by one process than they are sent to several."""


class Space:
    """Evaluates structures over workers.

    Args:
        card: of the model.
        strictly_local: whether it is.
        transport: what brings regions to its workers.
        least: atoms of the structures that it is meant for.
    """

    def __init__(
        self, card: ModelCard, strictly_local: bool, transport: Transport, least: int = LEAST_ATOMS
    ) -> None:
        self._card, self._strictly_local, self._transport = card, strictly_local, transport
        self.least = least

    def close(self) -> None:
        """Let the workers go."""
        self._transport.close()

    def evaluate(
        self,
        structure: Structure,
        derivatives: bool = True,
        look: Callable[[Findings], None] | None = None,
    ) -> StructurePrediction:
        """The prediction for a structure: the sum of what is predicted for its regions.

        Args:
            structure: of any size.
            derivatives: whether forces and stress are wanted, or energies alone.
            look: is told what of each region is out of the model's domain.

        Raises:
            InputError: the model cannot answer for this structure.
            BackendError: the model or a worker failed.
        """
        free, card = self._strictly_local, self._card
        count = self._transport.workers * (SHARES if free else 1)
        if free:
            count = max(count, math.ceil(len(structure) / MOST_ATOMS))
        reach = reach_of(card.cutoff, card.receptive_field, free, derivatives)
        regions = divide(Region.of(structure), count, card.cutoff, reach)
        assembly = Assembly(len(structure), free)
        for region, answer in self._transport.answers(regions, derivatives):
            if look is not None:
                look(answer.findings)
            assembly.add(region, answer.prediction)
        return assembly.prediction()
