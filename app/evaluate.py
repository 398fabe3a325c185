"""One batch on one backend, such that a structure that fails costs its neighbours nothing."""

import logging
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from app.backends import Backend
from app.errors import BackendError, EquipotError
from app.graph import Graph, collate
from app.prediction import Prediction, StructurePrediction, split

log = logging.getLogger(__name__)

Outcome: TypeAlias = StructurePrediction | EquipotError


def evaluate(backend: Backend, graphs: Sequence[Graph]) -> list[Outcome]:
    """Evaluate graphs as one batch; halve it where it fails, so that each failure costs only its culprit.

    Returns:
        For each graph its prediction, or the error that it gives alone. All numbers are finite.
    """
    try:
        batch = collate(graphs)
        prediction = backend(batch)
        outcomes: list[Outcome] = list(split(prediction, batch))
    except Exception as error:
        if len(graphs) == 1:
            return [_explain(error)]
        return _in_halves(backend, graphs)
    if _is_finite(prediction, batch):
        return outcomes
    if len(graphs) == 1:
        return [BackendError("the model's answer is not finite; the structure may be far from what it was made for")]
    return _again(backend, graphs, outcomes)


def _in_halves(backend: Backend, graphs: Sequence[Graph]) -> list[Outcome]:
    middle = len(graphs) // 2
    return evaluate(backend, graphs[:middle]) + evaluate(backend, graphs[middle:])


def _again(backend: Backend, graphs: Sequence[Graph], outcomes: list[Outcome]) -> list[Outcome]:
    """Keep what is finite; evaluate the others once more without it, in case they were only spoilt by a neighbour."""
    spoilt = [i for i, o in enumerate(outcomes) if isinstance(o, StructurePrediction) and not o.is_finite]
    if len(spoilt) == len(graphs):
        return _in_halves(backend, graphs)
    for index, outcome in zip(spoilt, evaluate(backend, [graphs[i] for i in spoilt]), strict=True):
        outcomes[index] = outcome
    return outcomes


def _is_finite(prediction: Prediction, batch: Graph) -> bool:
    stress = prediction.stress[batch.pbc.all(axis=1)]
    return all(np.isfinite(p).all() for p in (prediction.energy, prediction.forces, prediction.energies, stress))


def _explain(error: Exception) -> EquipotError:
    if isinstance(error, EquipotError):
        return error
    log.error("the model failed on one structure", exc_info=error)
    return BackendError(f"the model failed on this structure: {type(error).__name__}: {error}")
