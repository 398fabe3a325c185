"""One batch: a structure that fails costs its neighbours nothing."""

import os
import subprocess
import sys

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
from tests.paths import MODEL_STORE, ROOT


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


SHORTAGE = """
import resource, sys
from pathlib import Path
from app.backends import load_backend
from app.backends.synthetic import lattice_piece
from app.engine.bisect import evaluate
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction
from app.store.store import ModelStore

model = ModelStore(Path(sys.argv[1])).load("lennard-jones")
backend = load_backend(model)
graph = build_graph(lattice_piece(model.card, 2000, True), model.card.cutoff)
(alone,) = evaluate(backend, [graph])
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000,) * 2)
shortages = []
outcomes = evaluate(backend, [graph] * 16, lambda graphs: shortages.append(len(graphs)))
assert shortages[0] == 16, shortages
assert all(isinstance(o, StructurePrediction) for o in outcomes), outcomes
assert {o.energy for o in outcomes} == {alone.energy}
"""
"""A real shortage of memory, in a process of its own whose address space is limited."""


def test_a_batch_beyond_the_memory_loses_nothing() -> None:
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # each would have memory of its own
    command = [sys.executable, "-c", SHORTAGE, str(MODEL_STORE)]
    subprocess.run(command, cwd=ROOT, env=one_thread, check=True)
