"""What is measured of a model, what follows for its batches, and the cache in between."""

import asyncio
import logging
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.backends.pair import PairBackend
from app.backends.synthetic import lattice_piece
from app.engine.budget import Cost, Speed
from app.engine.calibration import (
    LEAST_STRUCTURES,
    Calibration,
    CalibrationKey,
    Measurement,
    calibrate_at_once,
    fit,
    smallest_of_the_best,
)
from app.engine.calibration_cache import CalibrationCache
from app.engine.limits import FALLBACK, SHORTEST, BatchLimits, measured
from app.engine.load import load_potential
from app.engine.potential import PotentialOptions
from app.errors import OutOfMemory
from app.store.card import ModelCard
from app.store.store import ModelStore

KEY = CalibrationKey(digest="d" * 64, device="cpu", threads=1, runtime="numpy 2")


def point(structures: int, seconds: float) -> Measurement:
    return Measurement(
        structures=structures,
        atoms=21 * structures,
        edges=300 * structures,
        seconds=seconds,
        peak=0,
    )


def calibration(bytes_per_edge: float | None = None) -> Calibration:
    best = point(16, 0.08)
    return Calibration(
        key=KEY,
        effort="quick",
        base=0.01,
        atom=0.0,
        edge=1e-5,
        best=best,
        bytes_per_edge=bytes_per_edge,
        measurements=(best,),
    )


class TestCalibration:
    @given(st.floats(1e-5, 1e-2), st.sampled_from([0.0, 1e-6, 1e-4]), st.floats(1e-8, 1e-4))
    def test_finds_the_speed_that_made_the_times(
        self, base: float, atom: float, edge: float
    ) -> None:
        speed = Speed(base, atom, edge)
        sizes = [(n * a, n * e) for a, e in ((21, 210), (64, 1664)) for n in (1, 2, 4, 8, 16)]
        points = [
            Measurement(structures=1, atoms=a, edges=e, seconds=speed.seconds(Cost(a, e)), peak=0)
            for a, e in sizes
        ]
        found = fit(points)
        for atoms, edges in ((5, 8), (1000, 40_000)):
            assert found.seconds(Cost(atoms, edges)) == pytest.approx(
                speed.seconds(Cost(atoms, edges)), rel=1e-5
            )

    def test_the_smallest_batch_that_is_almost_the_best(self) -> None:
        points = [point(4, 1.0), point(8, 1.2), point(16, 1.7), point(32, 3.35), point(64, 6.8)]
        assert smallest_of_the_best(points).structures == 16
        even = [point(n, 0.1 * n) for n in (1, 2, 4, 8, 16)]
        assert smallest_of_the_best(even).structures == LEAST_STRUCTURES
        assert smallest_of_the_best(even[:2]).structures == 2

    def test_measures_growing_batches_of_molecules_and_crystals(self, pair_card: ModelCard) -> None:
        found = calibrate_at_once(PairBackend(pair_card), KEY, "quick")
        sizes = [p.structures for p in found.measurements]
        assert sizes.count(1) == 2
        assert all(later in (1, 2 * earlier) for earlier, later in pairwise(sizes))
        assert found.speed.seconds(Cost(1000, 40_000)) > 0

    def test_memory_ends_a_series(self, pair_card: ModelCard) -> None:
        class Small(PairBackend):
            def __call__(self, graph: Graph) -> Prediction:
                if len(graph.n_atoms) > 4:
                    raise OutOfMemory("no memory left")
                return super().__call__(graph)

        assert (
            max(
                p.structures for p in calibrate_at_once(Small(pair_card), KEY, "quick").measurements
            )
            <= 4
        )


class TestLimits:
    def test_measured(self) -> None:
        budget = BatchLimits(seconds=0.25).budget(calibration())
        assert budget.source == "measured"
        assert budget.seconds == pytest.approx(0.01 + 16 * 300 * 1e-5)
        assert budget.longest == 0.25

    def test_a_batch_is_neither_too_short_nor_too_long(self) -> None:
        quick = calibration().model_copy(update={"base": 0.0, "edge": 1e-8})
        assert BatchLimits(seconds=0.25).budget(quick).seconds == SHORTEST
        assert BatchLimits(seconds=0.03).budget(calibration()).seconds == 0.03

    def test_a_setting_wins(self) -> None:
        budget = BatchLimits(edges=1000, seconds=0.25).budget(calibration())
        assert (budget.edges, budget.seconds, budget.source) == (1000, 0.25, "setting")
        assert budget.speed == calibration().speed

    def test_memory_bounds_it(self) -> None:
        assert (
            BatchLimits(memory=10**7, seconds=0.25).budget(calibration(bytes_per_edge=1e3)).edges
            == 10_000
        )

    def test_without_measurement(self) -> None:
        assert BatchLimits(seconds=0.25).budget(None).edges == FALLBACK.edges


class TestCache:
    def test_what_was_written_is_read_at_the_same_place_only(self, tmp_path: Path) -> None:
        cache = CalibrationCache(tmp_path / "new" / "folder")
        assert cache.read(KEY) is None
        assert cache.write(calibration())
        assert cache.read(KEY) == calibration()
        for other in (
            {"threads": 2},
            {"digest": "e" * 64},
            {"runtime": "numpy 3"},
            {"device": "cuda"},
        ):
            assert cache.read(KEY.model_copy(update=other)) is None

    def test_a_damaged_file_is_not_used(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache = CalibrationCache(tmp_path)
        path = cache.write(calibration())
        assert path
        path.write_text("{")
        assert cache.read(KEY) is None
        assert str(path) in caplog.text

    def test_a_folder_that_cannot_be_written_is_told_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        cache = CalibrationCache(tmp_path / "file")
        with caplog.at_level(logging.INFO):
            assert cache.write(calibration()) is None
            assert cache.write(calibration()) is None
        assert caplog.text.count("cannot be written") == 1


def test_a_potential_is_measured_when_idle_and_the_next_one_knows(
    pair_store: Path, tmp_path: Path
) -> None:
    async def main() -> list[str]:
        sources = []
        for _ in range(2):
            model = ModelStore(pair_store).load("pairs@2")
            options = PotentialOptions(batch=BatchLimits(seconds=0.25), max_atoms=50)
            potential = load_potential(model, options, cache=CalibrationCache(tmp_path))
            potential.start()
            sources.append(potential.workers.budget.source)
            potential.measure_when_idle()
            while potential.workers.budget.source == "default":
                with potential.admission.admit(1, 21):
                    await potential.predict(lattice_piece(potential.card, 21, False))
                await asyncio.sleep(0)
            sources.append(potential.workers.budget.source)
            await potential.stop()
        return sources

    assert asyncio.run(main()) == ["default", "measured", "cached", "cached"]


def test_the_steps_end_with_the_budget(pair_card: ModelCard, tmp_path: Path) -> None:
    *steps, budget = measured(
        PairBackend(pair_card), KEY, BatchLimits(seconds=0.25), CalibrationCache(tmp_path)
    )
    assert steps
    assert not any(steps)
    assert budget
    assert budget.source == "measured"
