"""Layers on equivariant features: linear, norm, gate and dropout.

Features are one tensor (..., 2l+1, C) an irrep, components before channels, so that every mixing of
channels is one matrix product. `Channels` says which irreps there are, and how many channels each
has; the scalar comes first.
"""

import functools
import math

import torch
from torch import Tensor, nn

from app.atoms.irreps import Irrep
from app.training.models.layers import SILU_GAIN

SCALAR: Irrep = (0, 1)
SIGMOID_GAIN = 1.8467057
"""1 / √E[sigmoid(z)²] for normal z."""

Features = list[Tensor]
Channels = dict[Irrep, int]


class EquivariantLinear(nn.Module):
    """Mixes the channels of each irrep: y_l = x_l W_l, plus a bias on the scalars.

    Args:
        ins: channels of the input.
        outs: channels of the output; its irreps are the first ones of the input.
        bias: whether the scalars have one.
        gain: of the scalars and of the other irreps: each W starts as normal · gain / √fan-in.
    """

    def __init__(
        self,
        ins: Channels,
        outs: Channels,
        bias: bool = True,
        gain: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        self.fan_in, self.outs = ins, outs
        self.weights = nn.ParameterList(
            torch.randn(ins[irrep], c) * (gain[irrep != SCALAR] / math.sqrt(ins[irrep]))
            for irrep, c in outs.items()
        )
        self.bias = nn.Parameter(torch.zeros(outs[SCALAR])) if bias else None

    def forward(self, x: Features) -> Features:
        """(..., 2l+1, out) from (..., 2l+1, in), for each irrep."""
        return self.biased(self.matrices(x))

    def matrices(self, x: Features) -> Features:
        """(..., 2l+1, out) from (..., 2l+1, in), for each irrep, without the bias."""
        return [t @ weight for t, weight in zip(x, self.weights, strict=False)]

    def biased(self, mixed: Features) -> Features:
        """What the matrices gave, (..., 2l+1, out), with the bias on the scalars."""
        return mixed if self.bias is None else [mixed[0] + self.bias, *mixed[1:]]


class EquivariantNorm(nn.Module):
    """Layer norm an irrep: scalars lose their mean, and each irrep is divided by its root mean
    square.

    x_l ← g_l x_l / √(mean over channels and components of x_l² + ε)

    Scalars of different elements differ, so that their mean square is never small and ε = 1e-5 (as
    published) does. The other irreps vanish where the surroundings are symmetric; there the
    division multiplies displacements and rounding alike by 1/√ε, once a layer, so that their ε is
    larger: see `EquiformerConfig`.
    """

    scalar_epsilon: Tensor
    epsilon: Tensor

    def __init__(self, channels: Channels, epsilon: float) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.ones(c) for c in channels.values())
        self.bias = nn.Parameter(torch.zeros(channels[SCALAR]))
        self.register_buffer("scalar_epsilon", torch.tensor(1e-5), persistent=False)
        self.register_buffer("epsilon", torch.tensor(epsilon), persistent=False)

    def forward(self, x: Features) -> Features:
        """(..., 2l+1, C) features of the same shapes."""
        scalars = x[0] - x[0].mean(-1, keepdim=True)
        normed = [
            self._divided(scalars, self.scalar_epsilon),
            *(self._divided(t, self.epsilon) for t in x[1:]),
        ]
        normed = [t * weight for t, weight in zip(normed, self.weights, strict=True)]
        return [normed[0] + self.bias, *normed[1:]]

    @staticmethod
    def _divided(x: Tensor, epsilon: Tensor) -> Tensor:
        return x * torch.rsqrt((x * x).mean((-2, -1), keepdim=True) + epsilon)


class Gate(nn.Module):
    """SiLU of the scalars; the other irreps times the sigmoid of scalars of their own.

    Attributes:
        ins: channels that it takes: the scalars are followed by the gates of each irrep.
    """

    def __init__(self, outs: Channels) -> None:
        super().__init__()
        self.widths = list(outs.values())
        self.ins: Channels = {**outs, SCALAR: sum(self.widths)}

    def forward(self, x: Features) -> Features:
        """(..., 2l+1, C) features with the channels given at construction."""
        scalars, *gates = torch.split(x[0], self.widths, dim=-1)
        gated = [t * torch.sigmoid(gate) for t, gate in zip(x[1:], gates, strict=True)]
        return [nn.functional.silu(scalars), *gated]


class FeedForward(nn.Module):
    """Linear, gate, linear, on each atom."""

    def __init__(self, ins: Channels, hidden: Channels, outs: Channels) -> None:
        super().__init__()
        self.gate = Gate(hidden)
        self.rise = EquivariantLinear(ins, self.gate.ins)
        self.fall = EquivariantLinear(hidden, outs, gain=(SILU_GAIN, SIGMOID_GAIN))

    def forward(self, x: Features) -> Features:
        """(N, 2l+1, out) from (N, 2l+1, in)."""
        out: Features = self.fall(self.gate(self.rise(x)))
        return out


class Dropout(nn.Module):
    """In training, sets channels of an atom to zero, all their components at once, and enlarges the
    others.

    Args:
        rate: share of the channels that is dropped.
        whole: drop all features of an atom together (stochastic depth, where this closes a residual
            branch).
    """

    def __init__(self, rate: float, whole: bool = False) -> None:
        super().__init__()
        self.rate, self.whole = rate, whole

    def forward(self, x: Features) -> Features:
        """(N, 2l+1, C) features of the same shapes; unchanged outside of training."""
        if not self.training or self.rate == 0:
            return x
        kept = 1 - self.rate
        if self.whole:
            keep = torch.empty_like(x[0][:, :1, :1]).bernoulli_(kept) / kept
            return [t * keep for t in x]
        return [t * (torch.empty_like(t[:, :1]).bernoulli_(kept) / kept) for t in x]


def added(x: Features, y: Features) -> Features:
    """(..., 2l+1, C) sums of the irreps that y has; those that x has besides are left out."""
    return [a + b for a, b in zip(x, y, strict=False)]


def added_up(parts: Features) -> Tensor:
    """The sum of one tensor or more of the same shape (...)."""
    return functools.reduce(torch.add, parts)
