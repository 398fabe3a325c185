"""What a worker does: a region in, what is predicted for it out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from app.atoms.decomposition import Assembly, Piece
from app.atoms.prediction import StructurePrediction, split
from app.atoms.regions import Region
from app.backends import Backend
from app.backends.domain import Known
from app.backends.geometry import Findings
from app.engine.budget import Budget
from app.engine.limits import BatchLimits, assumed_bytes
from app.engine.pieces import cutter_of
from app.errors import BackendError


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is predicted for a region.

    Attributes:
        prediction: what it adds to the structure's: values of its n atoms, of which those of the
            halo are what the core's edges add to them, and shares of energy and stress.
        findings: what of its geometry the model's training data never held.
    """

    prediction: StructurePrediction
    findings: Findings


PIECE_EDGES = 1_200_000
"""Edges of a piece: nobody waits in between, as in a service, and large ones have less of a halo to
search.
"""


class Transport(Protocol):
    """What brings regions to workers, in this process or anywhere."""

    @property
    def workers(self) -> int:
        """How many regions are evaluated at the same time."""
        ...

    def answers(
        self, regions: Iterable[Region], derivatives: bool
    ) -> Iterator[tuple[Region, Answer]]:
        """Each region with its answer, in their order; only a few are held at a time.

        Args:
            regions: are asked for as workers become free.
            derivatives: whether forces and stress are wanted, or energies alone.

        Raises:
            EquipotError: one has none.
        """
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


class Evaluator:
    """Evaluates one region after the other, piece by piece; the transport of one worker, here.

    Args:
        backend: what computes.
        device: where.
        memory: bytes of one evaluation; 0 takes half of what is free.
    """

    workers = 1

    def __init__(self, backend: Backend, device: str = "cpu", memory: int = 0) -> None:
        self._backend = backend
        self._known = Known(backend.card)
        limits = BatchLimits(memory=memory)
        budget = limits.budget(None, assumed=assumed_bytes(backend, device))
        edges = int(min(PIECE_EDGES, budget.capacity))
        self._budget: Budget = replace(budget, atoms=max(budget.atoms, edges), edges=edges)

    def answers(
        self, regions: Iterable[Region], derivatives: bool
    ) -> Iterator[tuple[Region, Answer]]:
        """See `Transport`."""
        for region in regions:
            yield region, self.answer(region, derivatives)

    def close(self) -> None:
        """Nothing is to be let go."""

    def answer(self, region: Region, derivatives: bool) -> Answer:
        """The answer for one region.

        Raises:
            InputError: the model cannot answer for it; names the atoms as in the structure.
            BackendError: the model failed, or gave a number that is not finite.
        """
        evaluate = self._backend if derivatives else self._backend.energies
        assembly = Assembly(len(region.cluster), self._backend.is_strictly_local)
        findings = Findings()
        cutter = cutter_of(region, self._backend, lambda: self._budget, derivatives)
        while (piece := cutter.next()) is not None:
            if self._known.tables is not None:
                findings.look(self._known.tables, _of_the_structure(piece, region))
            (predicted,) = split(evaluate(piece.graph), piece.graph)
            assembly.add(piece, predicted)
        prediction = assembly.prediction()
        if not prediction.is_finite:
            atoms = np.flatnonzero(~np.isfinite(prediction.energies[: region.core]))
            where = f", first on atom {region.atoms[atoms[0]]}" if len(atoms) else ""
            raise BackendError(
                f"{self._backend.card.reference} gave a number that is not finite{where}"
            )
        return Answer(prediction, findings)


def _of_the_structure(piece: Piece, region: Region) -> Piece:
    """The piece of a region with the numbers that its atoms have in the structure."""
    return replace(piece, atoms=region.atoms[piece.atoms])
