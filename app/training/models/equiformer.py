"""Equiformer: an equivariant graph attention transformer (Liao & Smidt, ICLR 2023,
arXiv:2206.11990).

Each atom has scalars and tensors. A block lets it attend to its neighbours
(`app.training.models.attention`) and then passes it through a feed-forward network; both are
residual, with an equivariant layer norm before. After B blocks an atom knows of atoms up to B
cutoffs away. The scalars of the last one give its energy.

Where this differs from the paper and its code:

- It is smooth at the cutoff. An envelope damps all that an edge gives, and a silent neighbour takes
  the attention that the last one leaves; theirs jumps by some 13 meV as a pair crosses 5 Å.
- The energy of an atom without neighbours is subtracted, so that it is exactly the reference
  energy.
- Parameters that cannot reach the energy are left out, as are those that another matrix makes
  redundant: tensors of the last block's values and all behind them, paths of the degree embedding
  that start from tensors, species that the data lack, and weights of a product that a full mixing
  of its channels follows. At the published setting these are 5 % of 3.5 million.
- The layer norm of tensors has a larger ε; see `EquiformerConfig`.
- `parity` offers E(3) besides the published SE(3). With `full`, parameters that meet features of
  the other parity before there are any, or after they can matter, are kept and get no gradient.
- Stochastic depth drops a branch for an atom rather than for a structure, of which a model knows
  nothing: the number of structures is no dimension of its inputs. The published runs on molecules
  use none.
"""

import math
from types import MappingProxyType
from typing import Literal

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from app.atoms.irreps import Irrep, both_parities, harmonic_irreps
from app.training.models.angular import SphericalHarmonics
from app.training.models.architecture import ArchitectureConfig
from app.training.models.attention import Attention, Edges, RadialNetwork, Shape
from app.training.models.checkpointing import checkpointed
from app.training.models.equivariant import (
    SCALAR,
    Channels,
    Dropout,
    EquivariantLinear,
    EquivariantNorm,
    Features,
    FeedForward,
    added,
)
from app.training.models.inputs import ModelInputs
from app.training.models.layers import SILU_GAIN, linear
from app.training.models.network import Elementwise, Network, SpeciesAxes
from app.training.models.radial import ExponentialNormalBasis, GaussianBasis, PolynomialEnvelope

Widths = tuple[PositiveInt, ...]
BASES: dict[str, type[ExponentialNormalBasis] | type[GaussianBasis]] = {
    "exp_normal": ExponentialNormalBasis,
    "gaussian": GaussianBasis,
}


class EquiformerConfig(ArchitectureConfig):
    """Hyperparameters of Equiformer; the defaults train on two CPU cores.

    Attributes:
        cutoff: Å.
        l_max: highest degree of the harmonics and the tensors.
        channels: of an atom's scalars, vectors, … up to `l_max`.
        num_blocks: attention and feed-forward blocks.
        num_heads: of the attention.
        head_channels: of the values and keys of one head, for each degree.
        attention: `mlp` makes the logits from a message's scalars, `dot_product` from queries and
            keys.
        nonlinear_messages: pass messages through a gate and a second tensor product.
        feed_forward_channels: inside the feed-forward networks, for each degree.
        readout_channels: scalars of the last block.
        parity: `none` ignores mirror symmetry (SE(3), as published), `natural` gives tensors the
            harmonics' parity, (−1)^l, and keeps products that conserve it (E(3)), `full` has
            tensors of both parities; there each width is halved, and an odd one gives the
            harmonics' parity one more.
        radial_basis: `exp_normal` or `gaussian`.
        num_basis: radial basis functions.
        radial_hidden: hidden widths of the radial networks.
        envelope_power: p of the polynomial envelope.
        norm_epsilon: ε of the tensors' layer norm, whose mean squares begin near 1. The published
            1e-5 amplifies displacements and rounding 300-fold in each layer where symmetry makes
            tensors vanish: virials of fcc and diamond then come out as 1e14 eV.
        attention_dropout: share of the attention weights dropped in training.
        dropout: share of the channels dropped at the end of each residual branch in training.
        drop_path: chance that a residual branch is dropped for an atom in training, in the last
            block; it rises linearly from zero in the first.
        activation_checkpointing: in training, compute each block again in the backward passes
            rather than keep what it computes (`app.training.models.checkpointing`): less memory,
            more time, the same gradients.
    """

    architecture: Literal["equiformer"] = "equiformer"
    l_max: int = Field(default=2, ge=0, le=8)
    channels: Widths = (64, 32, 16)
    num_blocks: int = Field(default=3, ge=1)
    num_heads: int = Field(default=4, ge=1)
    head_channels: Widths = (16, 8, 4)
    attention: Literal["mlp", "dot_product"] = "mlp"
    nonlinear_messages: bool = True
    feed_forward_channels: Widths = (192, 96, 48)
    readout_channels: int = Field(default=128, ge=1)
    parity: Literal["none", "natural", "full"] = "none"
    radial_basis: Literal["exp_normal", "gaussian"] = "exp_normal"
    num_basis: int = Field(default=32, ge=2)
    radial_hidden: Widths = (64, 64)
    envelope_power: int = Field(default=6, ge=2)
    norm_epsilon: float = Field(default=1.0, gt=0)
    attention_dropout: float = Field(default=0.0, ge=0, lt=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    activation_checkpointing: bool = False

    @property
    def receptive_field(self) -> float:
        """Å; a cutoff for the embedding of the neighbours' arrangement, and one more with each
        block.
        """
        return (1 + self.num_blocks) * self.cutoff

    def build(
        self, num_elements: int, force_scale: float, average_neighbors: float
    ) -> "Equiformer":
        """A freshly initialised model."""
        return Equiformer(self, num_elements, force_scale, average_neighbors)

    @property
    def harmonics(self) -> list[Irrep]:
        """Irreps of the harmonics, the scalar first."""
        return harmonic_irreps(self.l_max, self.parity != "none")

    @property
    def irreps(self) -> list[Irrep]:
        """Irreps of the features, those of the harmonics first."""
        return both_parities(self.l_max) if self.parity == "full" else self.harmonics

    def spread(self, widths: Widths) -> Channels:
        """Channels of each irrep, from those of each degree."""
        if self.parity != "full":
            return {(l, p): widths[l] for l, p in self.irreps}
        return {irrep: (widths[irrep[0]] + (irrep in self.harmonics)) // 2 for irrep in self.irreps}

    @model_validator(mode="after")
    def _a_width_for_each_degree(self) -> "EquiformerConfig":
        for name in ("channels", "head_channels", "feed_forward_channels"):
            widths = getattr(self, name)
            if len(widths) != self.l_max + 1:
                raise ValueError(
                    f"{name} has {len(widths)} entries; l_max {self.l_max} needs {self.l_max + 1}"
                )
            if self.parity == "full" and min(widths) < 2:
                raise ValueError(
                    f"{name} {widths} must be 2 or more each, one for either parity, with parity full"
                )
        return self


class Equiformer(Network):
    """Equiformer for a fixed list of elements.

    Args:
        config: hyperparameters.
        num_elements: S, number of elements.
        force_scale: eV/Å; the model's unit of energy is this times 1 Å.
        average_neighbors: mean number of neighbours, by which the degree embedding is normalised.
    """

    strictly_local = False
    species_axes: SpeciesAxes = MappingProxyType({"species": (0,)})
    elementwise: Elementwise = ("species", "logits.vector")
    far: Tensor
    scale: Tensor

    def __init__(
        self,
        config: EquiformerConfig,
        num_elements: int,
        force_scale: float,
        average_neighbors: float,
    ) -> None:
        super().__init__()
        self.config = config
        channels = config.spread(config.channels)
        self.basis = BASES[config.radial_basis](config.cutoff, config.num_basis)
        self.envelope = PolynomialEnvelope(config.cutoff, config.envelope_power)
        self.harmonics = SphericalHarmonics(config.l_max)
        self.species = nn.Parameter(torch.randn(num_elements, 1, channels[SCALAR]))
        self.degree = DegreeEmbedding(config, average_neighbors)
        last = config.num_blocks - 1
        self.blocks = nn.ModuleList(
            Block(config, i / max(last, 1), i == last) for i in range(config.num_blocks)
        )
        width = config.readout_channels
        self.readout_norm = EquivariantNorm({SCALAR: width}, config.norm_epsilon)
        hidden = nn.Linear(width, width)
        nn.init.normal_(hidden.weight, std=1 / math.sqrt(width))
        self.readout = nn.Sequential(hidden, nn.SiLU(), linear(width, 1, SILU_GAIN))
        self.register_buffer("scale", torch.tensor(force_scale))
        self.register_buffer("far", torch.tensor([2 * config.cutoff, 0.0, 0.0]), persistent=False)

    def read(self, features: Tensor, inputs: ModelInputs) -> Tensor:
        """(N,) interaction energies, eV, from the (N, H) features."""
        energies: Tensor = self.readout[-1](features).squeeze(-1)
        return energies

    def features(self, inputs: ModelInputs) -> Tensor:
        """(N, H), eV: what the last layer makes the energies of; zero for an atom without
        neighbours.
        """
        edges = self.edges(inputs)
        alone = self.degree.alone(self.species)
        x = self.kept(self.degree, [t.index_select(0, inputs.species) for t in alone], edges)
        for block in self.blocks:
            x, alone = self.kept(block, x, edges), block(alone, None)
        features: Tensor = self.hidden(x) - self.hidden(alone).index_select(0, inputs.species)
        return features

    def kept(self, part: nn.Module, x: Features, edges: Edges) -> Features:
        """What a part of the model makes of the (N, 2l+1, C) features; checkpointing keeps its
        inputs alone for the gradients.
        """
        if self.training and self.config.activation_checkpointing:
            return checkpointed(
                part, lambda t: part(t[: len(x)], Edges(*t[len(x) :])), [*x, *edges]
            )
        out: Features = part(x, edges)
        return out

    def edges(self, inputs: ModelInputs) -> Edges:
        """Functions of the edge vectors; all that a padded slot gives is multiplied with its
        envelope, zero.
        """
        vectors = torch.where(inputs.mask.unsqueeze(-1), inputs.edge_vectors, self.far)
        distance = (vectors * vectors).sum(-1, keepdim=True).sqrt()
        harmonics = self.harmonics(vectors / distance)
        envelope = self.envelope(distance)
        mask = inputs.mask.unsqueeze(1).to(vectors.dtype)
        basis = self.basis(distance)
        return Edges(
            harmonics, harmonics * envelope, basis, envelope, inputs.neighbors, inputs.reverse, mask
        )

    def hidden(self, x: Features) -> Tensor:
        """(N, H), eV, from the last block's scalars."""
        (scalars,) = self.readout_norm(x)
        hidden: Tensor = self.readout[:-1](scalars.squeeze(1)) * self.scale
        return hidden


class DegreeEmbedding(nn.Module):
    """What the arrangement of its neighbours, whatever their elements, gives to an atom at first.

    x_l ← x_l + W_l Σ_j w_l(r_ij) Y_l(r_ij) / √(average number of neighbours), plus a bias on the
    scalars.
    """

    normalization: Tensor

    def __init__(self, config: EquiformerConfig, average_neighbors: float) -> None:
        super().__init__()
        channels = config.spread(config.channels)
        self.harmonics = config.harmonics
        self.width = config.channels[0]
        self.radial = RadialNetwork(
            config.num_basis, config.radial_hidden, self.width * len(self.harmonics)
        )
        reached = {irrep: channels[irrep] for irrep in self.harmonics}
        self.mix = EquivariantLinear(dict.fromkeys(self.harmonics, self.width), reached)
        self.shapes = [(2 * l + 1, c) for (l, _), c in channels.items()]
        self.register_buffer("normalization", torch.tensor(1 / math.sqrt(average_neighbors)))

    def forward(self, x: Features, edges: Edges) -> Features:
        """The (N, 2l+1, C) features x with the embedding added; x has the bias already."""
        weights = torch.split(self.radial(edges.basis) * self.normalization, self.width, dim=-1)
        harmonics = torch.split(edges.enveloped, [2 * l + 1 for l, _ in self.harmonics], dim=-1)
        sums = [y.transpose(1, 2) @ w for y, w in zip(harmonics, weights, strict=True)]
        return [*added(x, self.mix.matrices(sums)), *x[len(sums) :]]

    def alone(self, scalars: Tensor) -> Features:
        """(S, 2l+1, C) features of atoms without neighbours, from their (S, 1, C) scalars."""
        zeros = [scalars.new_zeros((scalars.shape[0], *size)) for size in self.shapes]
        return self.mix.biased([scalars, *zeros[1:]])


class Block(nn.Module):
    """x ← x + attention(norm(x)), then x ← x + feed_forward(norm(x)).

    The last block gives scalars only, of another width, for which the residual has a matrix.

    Args:
        config: hyperparameters.
        depth: 0 for the first, 1 for the last block; stochastic depth grows with it.
        last: whether it is the last.
    """

    def __init__(self, config: EquiformerConfig, depth: float, last: bool) -> None:
        super().__init__()
        ins = config.spread(config.channels)
        middle = {SCALAR: ins[SCALAR]} if last else ins
        outs = {SCALAR: config.readout_channels} if last else ins
        hidden = config.spread(config.feed_forward_channels)
        shape = Shape(
            ins=ins,
            outs=middle,
            head=config.spread(config.head_channels),
            heads=config.num_heads,
            harmonics=config.harmonics,
            basis=config.num_basis,
            radial=config.radial_hidden,
        )
        self.attention_norm = EquivariantNorm(ins, config.norm_epsilon)
        self.attention = Attention(
            shape, config.attention, config.nonlinear_messages, config.attention_dropout
        )
        self.forward_norm = EquivariantNorm(middle, config.norm_epsilon)
        self.feed_forward = FeedForward(middle, {i: hidden[i] for i in middle}, outs)
        self.shortcut = EquivariantLinear(middle, outs) if last else None
        self.drop = nn.Sequential(
            Dropout(config.dropout), Dropout(config.drop_path * depth, whole=True)
        )

    def forward(self, x: Features, edges: Edges | None) -> Features:
        """New (N, 2l+1, C) features; without edges, those of atoms without neighbours."""
        normed = self.attention_norm(x)
        heard = self.attention.alone(normed) if edges is None else self.attention(normed, edges)
        x = added(x, self.drop(heard))
        update = self.drop(self.feed_forward(self.forward_norm(x)))
        return added(x if self.shortcut is None else self.shortcut(x), update)
