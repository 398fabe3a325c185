"""One batch: a structure that fails costs its neighbours nothing."""

import numpy as np
import pytest

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction, StructurePrediction
from app.engine.bisect import evaluate
from app.errors import (
    BackendError,
    InvalidStructure,
)
from tests.engine.scripted import Scripted, graphs_of


def test_one_that_raises_costs_only_itself(backend: Scripted) -> None:
    backend.raise_for = lambda graph: bool((graph.positions == 4.5).any())
    outcomes = evaluate(backend, graphs_of(backend, [3.5, 4.0, 4.5, 5.0, 5.5]))
    assert [isinstance(o, BackendError) for o in outcomes] == [False, False, True, False, False]
    assert "RuntimeError: no luck" in str(outcomes[2])
    alone = [evaluate(backend, [g])[0] for g in graphs_of(backend, [3.5, 4.0, 5.0, 5.5])]
    kept = [o for o in outcomes if isinstance(o, StructurePrediction)]
    assert [k.energy for k in kept] == [
        a.energy for a in alone if isinstance(a, StructurePrediction)
    ]


def test_errors_of_our_own_keep_their_class(backend: Scripted) -> None:
    def refuse(_: Graph) -> bool:
        raise InvalidStructure("not this one")

    backend.raise_for = refuse
    (outcome,) = evaluate(backend, graphs_of(backend, [4.0]))
    assert isinstance(outcome, InvalidStructure)


@pytest.mark.parametrize("distances", [[4.5], [4.0, 4.5, 5.0], [4.5, 4.5]])
def test_a_number_that_is_not_finite_is_an_error(backend: Scripted, distances: list[float]) -> None:
    backend.nan_for = 4.5
    outcomes = evaluate(backend, graphs_of(backend, distances))
    assert [isinstance(o, BackendError) for o in outcomes] == [d == 4.5 for d in distances]


def test_a_neighbour_that_was_spoilt_is_evaluated_again(backend: Scripted) -> None:
    class Contagious(Scripted):
        def __call__(self, graph: Graph) -> Prediction:
            prediction = super().__call__(graph)
            if np.isnan(prediction.energy).any():
                prediction.energy[:] = np.nan
            return prediction

    sick = Contagious(backend.card)
    sick.nan_for = 4.5
    outcomes = evaluate(sick, graphs_of(sick, [4.0, 4.5, 5.0]))
    assert [isinstance(o, BackendError) for o in outcomes] == [False, True, False]
