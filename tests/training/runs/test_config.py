"""What a config decides."""

import math

from app.training.runs.config import LossConfig


def test_weights_change_linearly_or_at_once():
    loss = LossConfig(
        changes=[{"epoch": 10, "over": 20, "energy": 5}, {"epoch": 40, "forces": 0, "stress": 2}]
    )
    seen = [
        (loss.at(epoch).energy, loss.at(epoch).forces, loss.at(epoch).stress)
        for epoch in (0, 10, 15, 30, 39.9)
    ]
    assert seen == [(1, 1, 0), (1, 1, 0), (2, 1, 0), (5, 1, 0), (5, 1, 0)]
    for epoch in (40, 1e9, math.inf):
        assert (loss.at(epoch).energy, loss.at(epoch).forces, loss.at(epoch).stress) == (5, 0, 2)
    assert [loss.largest(name) for name in ("energy", "forces", "stress")] == [5, 1, 2]
    assert LossConfig().at(3) == LossConfig()
