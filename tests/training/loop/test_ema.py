"""The moving average of the weights: its formula, and where it is applied."""

import pytest
import torch
from torch import nn

from app.training.loop.ema import Average


def weight(value):
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(value)
    return model


def test_the_average_follows_its_formula():
    model = weight(1.0)
    average = Average(model, 0.9)
    expected = 1.0
    for step in range(1, 200):
        with torch.no_grad():
            model.weight.fill_(float(step))
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(average.values[0]) == pytest.approx(expected, rel=1e-5)
    assert 185 < expected < 199


def test_the_average_is_applied_inside_the_block_only():
    model = weight(1.0)
    average = Average(model, 0.5)
    with torch.no_grad():
        model.weight.fill_(3.0)
    with average.applied():
        assert model.weight.item() == 1.0
    assert model.weight.item() == 3.0
    with pytest.raises(ValueError, match="inside"), average.applied():
        raise ValueError("inside")
    assert model.weight.item() == 3.0


def test_no_average_follows_the_weights():
    model = weight(1.0)
    average = Average(model, 0.0)
    with torch.no_grad():
        model.weight.fill_(3.0)
    average.update(1)
    assert float(average.values[0]) == 3.0
