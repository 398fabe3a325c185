"""What follows for batches from settings and from what was measured."""

from pathlib import Path

import pytest

from app.backends.pair import PairBackend
from app.engine import limits
from app.engine.calibration import Calibration
from app.engine.calibration_cache import CalibrationCache
from app.engine.limits import (
    FALLBACK,
    LOCAL_BYTES,
    SHORTEST,
    BatchLimits,
    assumed_bytes,
    measured,
)
from app.store.card import ModelCard
from tests.engine.calibrations import KEY, calibration


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

    @pytest.mark.parametrize("known", [None, calibration()])
    def test_where_memory_was_not_measured_something_is_assumed(
        self, known: Calibration | None
    ) -> None:
        small = BatchLimits(memory=10**7).budget(known, assumed=1e3)
        assert (small.edges, small.capacity, small.searched) == (10_000, 10_000, 10_000)
        large = BatchLimits(memory=10**10).budget(known, assumed=1e3)
        assert large.edges == FALLBACK.edges
        assert BatchLimits(memory=1).budget(known, assumed=1e3).edges == 1

    def test_what_was_measured_comes_before_what_is_assumed(self) -> None:
        budget = BatchLimits(memory=10**7).budget(calibration(bytes_per_edge=1e4), assumed=1e3)
        assert budget.edges == 1000

    def test_without_a_setting_half_of_what_is_free(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "free_memory", lambda: 10**7)
        assert BatchLimits().budget(None, assumed=1e3).edges == 5000


def test_a_gpu_has_memory_of_its_own(pair_card: ModelCard) -> None:
    backend = PairBackend(pair_card)
    assert assumed_bytes(backend, "cpu") == LOCAL_BYTES
    assert assumed_bytes(backend, "cuda:1") == 0.0


def test_the_steps_end_with_the_budget(pair_card: ModelCard, tmp_path: Path) -> None:
    *steps, budget = measured(
        PairBackend(pair_card), KEY, BatchLimits(seconds=0.25), CalibrationCache(tmp_path)
    )
    assert steps
    assert not any(steps)
    assert budget
    assert budget.source == "measured"
