"""Equivariant graph attention (Liao & Smidt, ICLR 2023, section 4.3), smooth at the cutoff.

A message is the depth-wise product of features of both atoms with the harmonics of the edge,
weighted by its length. It gives logits and values; the values' sum, weighted by attention, updates
the centre.

Everything that an edge gives carries the envelope u(r): the harmonics of the product, so that its
learned weights and their offset are damped alike, and the attention, so that the biases behind it
are. The attention

    a_ij = u_ij exp(z_ij) / (1 + Σ_k u_ik exp(z_ik))

has a 1 where the published softmax has none: a silent neighbour with logit 0. Without it the last
neighbour within reach would keep the full weight up to the cutoff, and lose it at once.

Channels of values and keys are mixed linearly, and sums over neighbours are linear: the mixing is
done once an atom and head instead of once an edge.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from app.atoms.irreps import Irrep
from app.training.models.equivariant import (
    SCALAR,
    SIGMOID_GAIN,
    Channels,
    EquivariantLinear,
    Features,
    Gate,
    added_up,
)
from app.training.models.gather import gather
from app.training.models.layers import SILU_GAIN
from app.training.models.product import AttendedProduct, DepthwiseProduct, Message

LARGEST_SHIFT = 60.0
"""Logits are shifted by at most this before exponentials are taken: exp(-60) is no zero in float32.
"""


class Edges(NamedTuple):
    """What the attention takes of a graph's edges.

    Attributes:
        harmonics: (N, K, components).
        enveloped: the same, times the envelope.
        basis: (N, K, B) radial basis.
        envelope: (N, K, 1), zero where padded.
        neighbors: (N, K) atom index of each neighbour.
        reverse: (N, K) flat slot of each reverse edge.
        mask: (N, 1, K) one where the slot holds an edge, else zero.
    """

    harmonics: Tensor
    enveloped: Tensor
    basis: Tensor
    envelope: Tensor
    neighbors: Tensor
    reverse: Tensor
    mask: Tensor


class Shape(NamedTuple):
    """Sizes of an attention.

    Attributes:
        ins: channels of the atoms' features.
        outs: channels of what it adds to them.
        head: channels of the values and keys of one head.
        heads: their number.
        harmonics: irreps of the harmonics.
        basis: number of radial basis functions.
        radial: hidden widths of the radial network.
    """

    ins: Channels
    outs: Channels
    head: Channels
    heads: int
    harmonics: list[Irrep]
    basis: int
    radial: tuple[int, ...]


class Attention(nn.Module):
    """Multi-head attention of each atom to its neighbours.

    Args:
        shape: sizes.
        kind: how logits are made: `mlp` or `dot_product`.
        nonlinear: pass messages through a gate and a second product before they are summed.
        dropout: share of the attention weights that is dropped in training.
    """

    def __init__(self, shape: Shape, kind: str, nonlinear: bool, dropout: float) -> None:
        super().__init__()
        self.ins = shape.ins
        half = (math.sqrt(0.5), math.sqrt(0.5))
        self.source = EquivariantLinear(shape.ins, shape.ins, gain=half)
        self.target = EquivariantLinear(shape.ins, shape.ins, bias=False, gain=half)
        wanted = shape.ins if nonlinear or kind == "dot_product" else shape.outs
        self.product = DepthwiseProduct(shape.ins, shape.harmonics, list(wanted))
        self.radial = RadialNetwork(shape.basis, shape.radial, self.product.num_weights)
        self.logits = LOGITS[kind](shape, self.product.outs)
        self.values = VALUES[nonlinear](shape, self.product.outs)
        values = {irrep: shape.heads * shape.head[irrep] for irrep in shape.outs}
        self.project = EquivariantLinear(values, shape.outs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Features, edges: Edges) -> Features:
        """What to add to the (N, 2l+1, C) features, for each irrep that is wanted."""
        messages = self.product(self.pairs(x, edges), edges.enveloped, self.radial(edges.basis))
        attention = self.dropout(enveloped_softmax(self.logits(x, messages), edges.envelope))
        out: Features = self.project(self.values(messages, edges, attention.transpose(1, 2)))
        return out

    def alone(self, x: Features) -> Features:
        """The same for atoms without neighbours: (N, 2l+1, C) for each irrep."""
        silent = [
            x[0].new_zeros((x[0].shape[0], 2 * l + 1, self.project.fan_in[l, p]))
            for l, p in self.project.outs
        ]
        out: Features = self.project(silent)
        return out

    def pairs(self, x: Features, edges: Edges) -> Features:
        """(N, K, 2l+1, C) sums of the transformed features of both ends of each edge."""
        source = torch.cat([t.flatten(1) for t in self.source(x)], dim=-1)
        target = torch.cat([t.flatten(1) for t in self.target(x)], dim=-1)
        both = gather(source, edges.neighbors, edges.reverse, edges.mask) + target.unsqueeze(1)
        sizes = [((2 * l + 1), c) for (l, _), c in self.ins.items()]
        parts = torch.split(both, [m * c for m, c in sizes], dim=-1)
        return [
            part.reshape(*part.shape[:-1], *size) for part, size in zip(parts, sizes, strict=True)
        ]


class RadialNetwork(nn.Module):
    """Weights of a product from the length of the edge: linear, layer norm and SiLU, then linear
    with an offset.
    """

    def __init__(self, basis: int, hidden: Iterable[int], outs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width, gain = basis, 1.0
        for size in hidden:
            layers += [nn.Linear(width, size), nn.LayerNorm(size), nn.SiLU()]
            width, gain = size, SILU_GAIN
        last = nn.Linear(width, outs)
        nn.init.normal_(last.weight, std=gain / math.sqrt(width))
        self.layers = nn.Sequential(*layers, last)

    def forward(self, basis: Tensor) -> Tensor:
        """(N, K, outs) from (N, K, basis)."""
        out: Tensor = self.layers(basis)
        return out


class MlpLogits(nn.Module):
    """z = a · LeakyReLU(W s), with the scalars s of the message and a learned vector a for each
    head.

    The leaky ReLU is the published smooth one, 0.2 h + 0.8 SiLU(h).
    """

    smooth: Tensor
    heads: Tensor

    def __init__(self, shape: Shape, message: Channels) -> None:
        super().__init__()
        width = shape.head[SCALAR]
        self.scalars = nn.Parameter(
            torch.randn(message[SCALAR], shape.heads * width) / math.sqrt(message[SCALAR])
        )
        self.bias = nn.Parameter(torch.zeros(shape.heads * width))
        self.vector = nn.Parameter(nn.init.xavier_uniform_(torch.empty(shape.heads, width)))
        self.register_buffer("smooth", torch.tensor([0.2, 0.8]), persistent=False)
        self.register_buffer("heads", torch.eye(shape.heads).unsqueeze(1), persistent=False)

    def forward(self, x: Features, messages: list[Message]) -> Tensor:
        """(N, K, H) logits."""
        hidden = messages[0].mixed(self.scalars).squeeze(2) + self.bias
        matrix = (self.vector.unsqueeze(-1) * self.heads).flatten(0, 1)
        slope, rest = self.smooth.unbind()
        return hidden @ (matrix * slope) + nn.functional.silu(hidden) @ (matrix * rest)


class DotProductLogits(nn.Module):
    """z = Σ_l q_l · k_l / √(2l+1) / √C, with queries q of the centre and keys k of the message."""

    scale: Tensor
    heads: Tensor

    def __init__(self, shape: Shape, message: Channels) -> None:
        super().__init__()
        keys = {i: shape.heads * c for i, c in shape.head.items()}
        self.query = EquivariantLinear(shape.ins, keys)
        self.key = EquivariantLinear(message, keys)
        scale = [1 / math.sqrt((2 * l + 1) * sum(shape.head.values())) for l, _ in shape.head]
        self.register_buffer("scale", torch.tensor(scale), persistent=False)
        self.register_buffer("heads", torch.eye(shape.heads).unsqueeze(1), persistent=False)

    def forward(self, x: Features, messages: list[Message]) -> Tensor:
        """(N, K, H) logits."""
        keys = self.key.biased(mixed(messages, self.key.weights))
        return added_up(
            [
                key.flatten(2) @ self._matrix(query * scale)
                for key, query, scale in zip(keys, self.query(x), self.scale.unbind(), strict=True)
            ]
        )

    def _matrix(self, query: Tensor) -> Tensor:
        """(N, (2l+1) · H · C, H) from (N, 2l+1, H · C): each head's column holds its own query,
        else zeros.
        """
        n, components, _ = query.shape
        by_head = query.reshape(n, components, len(self.heads), -1, 1)
        return (by_head * self.heads).flatten(1, 3)


class LinearValues(nn.Module):
    """Values that are linear in the message."""

    def __init__(self, shape: Shape, message: Channels) -> None:
        super().__init__()
        self.count = len(shape.outs)
        self.mix = HeadLinear(message, {i: shape.head[i] for i in shape.outs}, shape.heads)

    def forward(self, messages: list[Message], edges: Edges, attention: Tensor) -> Features:
        """(N, 2l+1, H · C) sums over the neighbours, from (N, H, K) attention."""
        sums = [message.summed(attention) for message in messages[: self.count]]
        out: Features = self.mix(sums, attention.sum(-1))
        return out


class NonlinearValues(nn.Module):
    """Values from a gate and a second product with the same harmonics."""

    def __init__(self, shape: Shape, message: Channels) -> None:
        super().__init__()
        self.gate = Gate(shape.ins)
        self.rise = EquivariantLinear(message, self.gate.ins)
        self.product = AttendedProduct(shape.ins, shape.harmonics, list(shape.outs))
        gain = (SILU_GAIN, SIGMOID_GAIN)
        self.mix = HeadLinear(
            self.product.outs, {i: shape.head[i] for i in shape.outs}, shape.heads, gain
        )

    def forward(self, messages: list[Message], edges: Edges, attention: Tensor) -> Features:
        """(N, 2l+1, H · C) sums over the neighbours, from (N, H, K) attention."""
        raised = self.rise.biased(mixed(messages, self.rise.weights))
        sums = self.product(self.gate(raised), edges.harmonics, attention)
        out: Features = self.mix(sums, attention.sum(-1))
        return out


class HeadLinear(nn.Module):
    """Mixes the channels of each irrep, with other weights for each head; a bias on the scalars.

    Args:
        ins: channels of the input, which the heads share.
        outs: channels of one head.
        heads: their number.
        gain: as in `EquivariantLinear`.
    """

    def __init__(
        self, ins: Channels, outs: Channels, heads: int, gain: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            torch.randn(heads, ins[irrep], c) * (gain[irrep != SCALAR] / math.sqrt(ins[irrep]))
            for irrep, c in outs.items()
        )
        self.bias = nn.Parameter(torch.zeros(heads * outs[SCALAR]))

    def forward(self, sums: Features, total: Tensor) -> Features:
        """(N, 2l+1, H · out) from (N, H, 2l+1, in) sums over edges and the (N, H) sum of their
        weights.
        """
        mixed = [self._mixed(t, weight) for t, weight in zip(sums, self.weights, strict=True)]
        mixed[0] = mixed[0] + (total.unsqueeze(-1) * self.bias.reshape(total.shape[1], -1)).flatten(
            1
        ).unsqueeze(1)
        return mixed

    @staticmethod
    def _mixed(t: Tensor, weight: Tensor) -> Tensor:
        """One matrix product a head: heads in front, so that the matrices are not repeated for each
        atom.
        """
        n, _, components, _ = t.shape
        by_head = torch.bmm(t.transpose(0, 1).flatten(1, 2), weight)
        return by_head.reshape(len(weight), n, components, -1).permute(1, 2, 0, 3).flatten(2)


def mixed(messages: list[Message], weights: Iterable[Tensor]) -> Features:
    """(N, K, 2l+1, out) mixtures of the messages for the first irreps, by one (channels, out)
    matrix each.
    """
    return [message.mixed(weight) for message, weight in zip(messages, weights, strict=False)]


LOGITS: dict[str, type[MlpLogits] | type[DotProductLogits]] = {
    "mlp": MlpLogits,
    "dot_product": DotProductLogits,
}
VALUES: dict[bool, type[LinearValues] | type[NonlinearValues]] = {
    False: LinearValues,
    True: NonlinearValues,
}


def enveloped_softmax(logits: Tensor, envelope: Tensor) -> Tensor:
    """u exp(z) / (1 + Σ u exp(z)), the sum over the K slots, from (N, K, H) logits and the (N, K,
    1) envelope.

    Every exponential is divided by that of the largest logit of the atom, which changes nothing but
    the range.
    """
    shift = logits.detach().amax(1, keepdim=True).clamp(0.0, LARGEST_SHIFT)
    weights = torch.exp(logits - shift) * envelope
    return weights / (weights.sum(1, keepdim=True) + torch.exp(-shift))
