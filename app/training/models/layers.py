"""Layers on scalars."""

import math

from torch import nn

from app.training.models.silu import SiLU

SILU_GAIN = 1.6791767
"""1 / √E[silu(z)²] for normal z: keeps the variance through a hidden layer."""


def mlp(width_in: int, hidden: tuple[int, ...], width_out: int, gain: float = 1.0) -> nn.Sequential:
    """Layers without biases, so that zero stays zero: linear, then SiLU and linear for each hidden
    width.
    """
    layers: list[nn.Module] = []
    for width_hidden in hidden:
        layers += [linear(width_in, width_hidden, gain), SiLU()]
        width_in, gain = width_hidden, SILU_GAIN
    return nn.Sequential(*layers, linear(width_in, width_out, gain))


def linear(width_in: int, width_out: int, gain: float = 1.0) -> nn.Linear:
    """A layer without bias, its weights normal with standard deviation gain / √width_in."""
    layer = nn.Linear(width_in, width_out, bias=False)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(width_in))
    return layer
