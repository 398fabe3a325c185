"""One batch on one backend, such that a structure that fails costs its neighbours nothing."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from app.atoms.graph import Graph, collate
from app.atoms.prediction import Prediction, StructurePrediction, split
from app.atoms.properties import STORED
from app.backends import Backend
from app.errors import BackendError, EquipotError, OutOfMemory

log = logging.getLogger(__name__)

Outcome: TypeAlias = StructurePrediction | EquipotError
OnShortage: TypeAlias = Callable[[Sequence[Graph]], None]


def evaluate(
    backend: Backend,
    graphs: Sequence[Graph],
    on_shortage: OnShortage | None = None,
    derivatives: bool = True,
) -> list[Outcome]:
    """Evaluate a batch; halve it where it fails, so that a failure costs only its culprit.

    Memory that does not suffice is one more way to fail: the halves may fit.

    Args:
        backend: what evaluates them.
        graphs: the batch, at least one.
        on_shortage: is told of each batch, or part of one, that did not fit into memory.
        derivatives: whether forces and stress are wanted, or energies alone.

    Returns:
        For each graph its prediction, or the error that it gives alone. All numbers are finite.
    """
    return _Evaluation(backend if derivatives else backend.energies, on_shortage).of(graphs)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    predict: Callable[[Graph], Prediction]
    on_shortage: OnShortage | None

    def of(self, graphs: Sequence[Graph]) -> list[Outcome]:
        try:
            batch = collate(graphs)
            prediction = self.predict(batch)
            outcomes: list[Outcome] = list(split(prediction, batch))
            finite = is_finite(prediction, batch)
        except Exception as error:
            if self.on_shortage and isinstance(error, (MemoryError, OutOfMemory)):
                self.on_shortage(graphs)
            if len(graphs) == 1:
                return [_explain(error)]
        else:
            if finite:
                return outcomes
            if len(graphs) == 1:
                return [BackendError(NOT_FINITE)]
            return self._again(graphs, outcomes)
        # outside the handler, so that the traceback holds no arrays meanwhile
        return self._in_halves(graphs)

    def _in_halves(self, graphs: Sequence[Graph]) -> list[Outcome]:
        middle = len(graphs) // 2
        return self.of(graphs[:middle]) + self.of(graphs[middle:])

    def _again(self, graphs: Sequence[Graph], outcomes: list[Outcome]) -> list[Outcome]:
        """Keep what is finite; evaluate the rest without it, in case a neighbour spoilt it."""
        spoilt = [
            i
            for i, o in enumerate(outcomes)
            if isinstance(o, StructurePrediction) and not o.is_finite
        ]
        if len(spoilt) == len(graphs):
            return self._in_halves(graphs)
        for index, outcome in zip(spoilt, self.of([graphs[i] for i in spoilt]), strict=True):
            outcomes[index] = outcome
        return outcomes


NOT_FINITE = "the model's answer is not finite; the structure may be far from what it was made for"


def is_finite(prediction: Prediction, batch: Graph) -> bool:
    """Whether all numbers are that are defined for the structures of the batch."""
    bulk = batch.pbc.all(axis=1)
    for row in STORED:
        values = getattr(prediction, row.name)
        if values is not None and not np.isfinite(values[bulk] if row.bulk_only else values).all():
            return False
    return True


def _explain(error: Exception) -> EquipotError:
    if isinstance(error, EquipotError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory(f"the structure does not fit into memory; send a smaller one ({error})")
    log.error("the model failed on one structure", exc_info=error)
    return BackendError(f"the model failed on this structure: {type(error).__name__}: {error}")
