"""How long batches take, measured and fitted."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.backends.pair import PairBackend
from app.engine.budget import Cost, Speed
from app.engine.calibration import (
    LEAST_STRUCTURES,
    Measurement,
    calibrate_at_once,
    fit,
    smallest_of_the_best,
)
from app.errors import OutOfMemory
from app.store.card import ModelCard
from tests.engine.calibrations import KEY, measurement


@given(st.floats(1e-5, 1e-2), st.sampled_from([0.0, 1e-6, 1e-4]), st.floats(1e-8, 1e-4))
def test_finds_the_speed_that_made_the_times(base: float, atom: float, edge: float) -> None:
    speed = Speed(base, atom, edge)
    sizes = [(n * a, n * e) for a, e in ((21, 210), (64, 1664)) for n in (1, 2, 4, 8, 16)]
    points = [
        Measurement(structures=1, atoms=a, edges=e, seconds=speed.seconds(Cost(a, e)), peak=0)
        for a, e in sizes
    ]
    speed = fit(points)
    for atoms, edges in ((5, 8), (1000, 40_000)):
        assert speed.seconds(Cost(atoms, edges)) == pytest.approx(
            speed.seconds(Cost(atoms, edges)), rel=1e-5
        )


def test_the_smallest_batch_that_is_almost_the_best() -> None:
    points = [
        measurement(4, 1.0),
        measurement(8, 1.2),
        measurement(16, 1.7),
        measurement(32, 3.35),
        measurement(64, 6.8),
    ]
    assert smallest_of_the_best(points).structures == 16
    even = [measurement(n, 0.1 * n) for n in (1, 2, 4, 8, 16)]
    assert smallest_of_the_best(even).structures == LEAST_STRUCTURES
    assert smallest_of_the_best(even[:2]).structures == 2


def test_measures_growing_batches_of_molecules_and_crystals(pair_card: ModelCard) -> None:
    calibration = calibrate_at_once(PairBackend(pair_card), KEY, "quick")
    sizes = [p.structures for p in calibration.measurements]
    assert sizes.count(1) == 2
    assert all(later in (1, 2 * earlier) for earlier, later in pairwise(sizes))
    assert calibration.speed.seconds(Cost(1000, 40_000)) > 0


def test_memory_ends_a_series(pair_card: ModelCard) -> None:
    class Small(PairBackend):
        def __call__(self, graph: Graph) -> Prediction:
            if len(graph.n_atoms) > 4:
                raise OutOfMemory("no memory left")
            return super().__call__(graph)

    assert (
        max(p.structures for p in calibrate_at_once(Small(pair_card), KEY, "quick").measurements)
        <= 4
    )
