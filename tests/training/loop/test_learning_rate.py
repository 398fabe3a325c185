"""Learning rates over a run, by hand."""

import math

import pytest

from app.training.loop.learning_rate import LearningRate
from app.training.runs.config import ScheduleConfig


def rates(kind, progress, step=1000, **keys):
    rate = LearningRate(ScheduleConfig(kind=kind, **keys), 0.1)
    return [rate.at(step, p) for p in progress]


def test_schedules_by_hand():
    assert rates("constant", (0, 0.5, 1)) == pytest.approx([0.1, 0.1, 0.1])
    assert rates("cosine", (0, 0.5, 1), final=0.1) == pytest.approx([0.1, 0.055, 0.01])
    assert rates("exponential", (0, 0.5, 1), final=0.01) == pytest.approx([0.1, 0.01, 0.001])


def test_the_warm_up_is_linear():
    rate = LearningRate(ScheduleConfig(kind="constant", warmup_steps=4), 0.1)
    assert [rate.at(step, 0.0) for step in range(6)] == pytest.approx(
        [0.02, 0.04, 0.06, 0.08, 0.1, 0.1]
    )


def test_a_plateau_lowers_the_rate_down_to_its_end():
    rate = LearningRate(ScheduleConfig(kind="plateau", patience=2, factor=0.5, final=0.2), 1.0)
    seen = []
    for loss in (3.0, 2.0, 2.5, 2.5, 1.0, 1.5, 1.5, 1.5, 1.5, math.inf, 9.0):
        rate.evaluated(loss)
        seen.append(rate.at(0, 0.0))
    assert seen == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]


def test_a_schedule_goes_on_from_its_state():
    config = ScheduleConfig(kind="plateau", patience=2)
    first, second = LearningRate(config, 1.0), LearningRate(config, 1.0)
    for loss in (1.0, 2.0):
        first.evaluated(loss)
    second.load(first.state())
    for rate in (first, second):
        rate.evaluated(3.0)
    assert first.at(0, 0) == second.at(0, 0) == pytest.approx(0.8)
