"""NequIP: an equivariant network of convolutions (Batzner et al., Nat. Commun. 13, 2453, 2022).

Each atom has scalars and tensors. An interaction block mixes the channels, convolves the
neighbours' features with the harmonics of the edges (`app.training.models.convolution`), mixes the
sums, adds a self-connection of the atom, and passes all through a gate; where asked for, a layer
norm comes before the gate. After B blocks an atom knows of atoms up to B cutoffs away. The scalars
of the last one give its energy.

Where this differs from the paper and its code:

- The energy of an atom without neighbours is subtracted, so that it is exactly the reference
  energy, the shift of its element.
- Activations are not normalised; the gains of what follows are in the initial weights.
- The self-connection is linear, or linear with weights for each element, without a product with an
  embedding.
- The last block has even scalars only, and no features are made that no product can reach. With
  both parities, weights of the features that cannot reach the energy any more get no gradient.
"""

import math
from typing import Literal

import torch
from e3nn.o3 import Irreps
from pydantic import Field, PositiveInt, field_validator, model_validator
from torch import Tensor, nn

from app.atoms.irreps import Irrep, couplings, harmonic_irreps
from app.training.models.angular import SphericalHarmonics
from app.training.models.architecture import ArchitectureConfig
from app.training.models.convolution import Convolution, Couplings, Edges
from app.training.models.equivariant import SCALAR, Channels, EquivariantLinear, Features
from app.training.models.inputs import ModelInputs
from app.training.models.layers import SILU_GAIN, mlp
from app.training.models.network import Elementwise, Network, SpeciesAxes
from app.training.models.radial import BesselBasis, PolynomialEnvelope, XplorEnvelope

TANH_GAIN = 1.5925374
"""1 / √E[tanh(z)²] for normal z."""
NORM_EPSILON = 1e-12
"""Added to the mean square of an atom's features, which their scalars keep from vanishing."""


class NequIPConfig(ArchitectureConfig):
    """Hyperparameters of NequIP; the defaults train on two CPU cores.

    Attributes:
        cutoff: Å.
        l_max: highest degree of the harmonics.
        irreps: of an atom's features, as `64x0e + 32x1o + 16x2e`: how many channels each degree l
            has with even (e) or odd (o) parity.
        parity: whether the harmonics have the parity (−1)^l (E(3)), or count as even like all
            features (SE(3)).
        num_layers: interaction blocks.
        embedding: scalars of an element before the first block; by default as many as even scalars.
        self_connection: `species` has a matrix for each element, `linear` one for all, `none` none.
        first_self_connection: whether the first block has it, too.
        layer_norm: divide an atom's features by their root mean square, before each gate.
        radial_hidden: hidden widths of the radial networks.
        num_bessels: radial basis functions.
        trainable_bessels: learn their frequencies.
        envelope: `polynomial`, or `xplor`, which is 1 up to its onset.
        envelope_power: p of the polynomial envelope.
        envelope_onset: Å, of the xplor envelope.
        readout_hidden: hidden widths of the network that gives the energy; none: it is linear.
    """

    architecture: Literal["nequip"] = "nequip"
    l_max: int = Field(default=2, ge=0, le=8)
    irreps: str = "64x0e + 32x1o + 16x2e"
    parity: bool = True
    num_layers: int = Field(default=3, ge=1)
    embedding: PositiveInt | None = None
    self_connection: Literal["species", "linear", "none"] = "species"
    first_self_connection: bool = True
    layer_norm: bool = False
    radial_hidden: tuple[PositiveInt, ...] = (64, 64)
    num_bessels: int = Field(default=8, ge=1)
    trainable_bessels: bool = False
    envelope: Literal["polynomial", "xplor"] = "polynomial"
    envelope_power: int = Field(default=6, ge=2)
    envelope_onset: float | None = Field(default=None, ge=0)
    readout_hidden: tuple[PositiveInt, ...] = ()

    @property
    def receptive_field(self) -> float:
        """Å; a cutoff with each block."""
        return self.num_layers * self.cutoff

    def build(self, num_elements: int, force_scale: float, average_neighbors: float) -> "NequIP":
        """A freshly initialised model."""
        return NequIP(self, num_elements, force_scale, average_neighbors)

    @property
    def harmonics(self) -> list[Irrep]:
        """Irreps of the harmonics, the scalar first."""
        return harmonic_irreps(self.l_max, self.parity)

    @property
    def channels(self) -> Channels:
        """Channels of each irrep, the even scalars first."""
        found = {(ir.l, ir.p): mul for mul, ir in Irreps(self.irreps)}
        return {irrep: found[irrep] for irrep in sorted(found, key=lambda i: (i[0], -i[1]))}

    def plan(self) -> list[Channels]:
        """Channels before each block and after the last one."""
        plan: list[Channels] = [{SCALAR: self.embedding or self.channels[SCALAR]}]
        for _ in range(self.num_layers - 1):
            reached = {o for i in plan[-1] for b in self.harmonics for o in couplings(i, b)}
            plan.append({irrep: c for irrep, c in self.channels.items() if irrep in reached})
        return [*plan, {SCALAR: self.channels[SCALAR]}]

    @field_validator("irreps")
    @classmethod
    def _is_a_list_of_irreps(cls, text: str) -> str:
        try:
            irreps = Irreps(text)
        except ValueError:
            raise ValueError("write channels, degree and parity, as in 64x0e + 32x1o") from None
        named = [ir for _, ir in irreps]
        if (0, 1) not in [(ir.l, ir.p) for ir in named] or min(mul for mul, _ in irreps) < 1:
            raise ValueError("there must be even scalars, such as 64x0e, and no irrep without any")
        if len(set(named)) < len(named):
            raise ValueError("an irrep stands twice")
        return text

    @model_validator(mode="after")
    def _fits_together(self) -> "NequIPConfig":
        if not self.parity and any(p < 0 for _, p in self.channels):
            raise ValueError(f"irreps {self.irreps} has odd ones; without parity all are even (e)")
        onset = self.envelope_onset
        if (self.envelope == "xplor") != (onset is not None):
            raise ValueError("envelope_onset goes with envelope xplor, which needs one")
        if onset is not None and onset >= self.cutoff:
            raise ValueError(f"envelope_onset {onset} must be less than the cutoff {self.cutoff}")
        return self


class NequIP(Network):
    """NequIP for a fixed list of elements.

    Args:
        config: hyperparameters.
        num_elements: S, number of elements.
        force_scale: eV/Å; the model's unit of energy is this times 1 Å, at first.
        average_neighbors: mean number of neighbours of an atom, by which sums are normalised.
    """

    strictly_local = False
    elementwise: Elementwise = ("species",)
    far: Tensor

    def __init__(
        self,
        config: NequIPConfig,
        num_elements: int,
        force_scale: float,
        average_neighbors: float,
    ) -> None:
        super().__init__()
        self.config = config
        plan = config.plan()
        self.basis = BesselBasis(config.cutoff, config.num_bessels, config.trainable_bessels)
        self.envelope: PolynomialEnvelope | XplorEnvelope = (
            PolynomialEnvelope(config.cutoff, config.envelope_power)
            if config.envelope_onset is None
            else XplorEnvelope(config.cutoff, config.envelope_onset)
        )
        self.harmonics = SphericalHarmonics(config.l_max)
        self.species = nn.Parameter(torch.randn(num_elements, 1, plan[0][SCALAR]))
        blocks = [
            Interaction(config, plan[i], plan[i + 1], num_elements, first=i == 0)
            for i in range(config.num_layers)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.species_axes = _species_axes(blocks)
        products = [p for block in blocks for p in block.convolution.products]
        self.couplings = Couplings(products, torch.tensor(1 / math.sqrt(average_neighbors)))
        self.readout = mlp(plan[-1][SCALAR], config.readout_hidden, 1, SILU_GAIN)
        self.scale = nn.Parameter(torch.full((num_elements,), force_scale))
        self.register_buffer("far", torch.tensor([2 * config.cutoff, 0.0, 0.0]), persistent=False)

    def features(self, inputs: ModelInputs) -> Tensor:
        """(N, H), eV: what the last layer makes the energies of; zero for an atom without
        neighbours.
        """
        hidden = self.hidden(inputs.species, self.edges(inputs))
        hidden = hidden - self.alone().index_select(0, inputs.species)
        return hidden * self.scale.index_select(0, inputs.species).unsqueeze(-1)

    def read(self, features: Tensor, inputs: ModelInputs) -> Tensor:
        """(N,) interaction energies, eV, from the (N, H) features."""
        energies: Tensor = self.readout[-1](features).squeeze(-1)
        return energies

    def alone(self) -> Tensor:
        """(S, H): what the last layer takes of atoms without neighbours, in units of `scale`."""
        return self.hidden(torch.arange(len(self.species), device=self.species.device), None)

    def energies_alone(self) -> Tensor:
        """(S,), eV: what the last layer would make of that, which `forward` leaves out."""
        energies: Tensor = self.readout[-1](self.alone()).squeeze(-1) * self.scale
        return energies

    def hidden(self, species: Tensor, edges: Edges | None) -> Tensor:
        """(N, H) of atoms, with or without neighbours, in units of `scale`."""
        x = [self.species.index_select(0, species)]
        for block in self.blocks:
            x = block(x, species, edges)
        hidden: Tensor = self.readout[:-1](x[0].squeeze(1))
        return hidden

    def edges(self, inputs: ModelInputs) -> Edges:
        """Functions of the edge vectors; a padded slot has none of the radial basis."""
        vectors = torch.where(inputs.mask.unsqueeze(-1), inputs.edge_vectors, self.far)
        distance = (vectors * vectors).sum(-1, keepdim=True).sqrt()
        degrees = [2 * l + 1 for l in range(self.config.l_max + 1)]
        harmonics = torch.split(self.harmonics(vectors / distance), degrees, dim=-1)
        basis = self.basis(distance) * self.envelope(distance)
        mask = inputs.mask.unsqueeze(1).to(vectors.dtype)
        return Edges(basis, inputs.neighbors, inputs.reverse, mask, self.couplings(harmonics))


class Interaction(nn.Module):
    """x ← gate(norm(W₂ conv(W₁ x) + self-connection(x))).

    Args:
        config: hyperparameters.
        ins: channels of the input.
        outs: channels of the output.
        num_elements: S, number of elements.
        first: whether it is the first block.
    """

    def __init__(
        self, config: NequIPConfig, ins: Channels, outs: Channels, num_elements: int, first: bool
    ) -> None:
        super().__init__()
        self.gate = SiluGate(outs)
        gains = (1.0, 1.0) if first else (SILU_GAIN, SILU_GAIN)
        self.rise = EquivariantLinear(ins, ins, bias=False, gain=gains)
        self.convolution = Convolution(
            ins, config.harmonics, list(outs), config.num_bessels, config.radial_hidden
        )
        connected = config.self_connection != "none" and (config.first_self_connection or not first)
        share = math.sqrt(0.5) if connected else 1.0
        self.fall = EquivariantLinear(
            self.convolution.outs, self.gate.ins, bias=False, gain=(share, share)
        )
        self.connection = (
            SelfConnection(
                ins,
                self.gate.ins,
                num_elements if config.self_connection == "species" else None,
                share * gains[0],
            )
            if connected
            else None
        )
        self.norm = JointNorm(self.gate.ins) if config.layer_norm else None

    def forward(self, x: Features, species: Tensor, edges: Edges | None) -> Features:
        """New (N, 2l+1, C) features; without edges, those of atoms without neighbours."""
        sums = (
            self.convolution.silent(len(species))
            if edges is None
            else self.convolution(self.rise(x), edges)
        )
        mixed: Features = self.fall(sums)
        if self.connection is not None:
            mixed = self.connection(x, mixed, species)
        if self.norm is not None:
            mixed = self.norm(mixed)
        out: Features = self.gate(mixed)
        return out


class SelfConnection(nn.Module):
    """Mixes the channels of each irrep of the atom itself, and adds them.

    Args:
        ins: channels of the input.
        outs: channels of what it is added to.
        num_elements: S; each has its own matrices. None: all have the same.
        gain: each matrix starts as normal · gain / √fan-in.

    Attributes:
        by_species: whether each element has its own.
    """

    def __init__(
        self, ins: Channels, outs: Channels, num_elements: int | None, gain: float
    ) -> None:
        super().__init__()
        self.by_species = num_elements is not None
        self.places = [(i, list(outs).index(irrep)) for i, irrep in enumerate(ins) if irrep in outs]
        sets = () if num_elements is None else (num_elements,)
        self.weights = nn.ParameterList(
            torch.randn(*sets, c, outs[irrep]) * (gain / math.sqrt(c))
            for irrep, c in ins.items()
            if irrep in outs
        )

    def forward(self, x: Features, to: Features, species: Tensor) -> Features:
        """The (N, 2l+1, out) features `to` with the (N, 2l+1, in) features x mixed and added."""
        sums = list(to)
        for (source, target), weight in zip(self.places, self.weights, strict=True):
            matrix = weight.index_select(0, species) if self.by_species else weight
            sums[target] = sums[target] + x[source] @ matrix
        return sums


class JointNorm(nn.Module):
    """Divides all features of an atom by one root mean square, in which each irrep has a share.

    x_l ← g_l x_l / √(mean over irreps of Σ x_l² / (2l+1)² over channels and components + ε), as in
    Nequix (Koker et al., arXiv:2508.16067); the g_l begin where features of unit variance stay so.
    """

    epsilon: Tensor
    shares: Tensor

    def __init__(self, channels: Channels) -> None:
        super().__init__()
        count = len(channels)
        shares = [1 / ((2 * l + 1) ** 2 * count) for l, _ in channels]
        start = math.sqrt(sum(c / ((2 * l + 1) * count) for (l, _), c in channels.items()))
        self.weights = nn.ParameterList(torch.full((c,), start) for c in channels.values())
        self.register_buffer("shares", torch.tensor(shares), persistent=False)
        self.register_buffer("epsilon", torch.tensor(NORM_EPSILON), persistent=False)

    def forward(self, x: Features) -> Features:
        """(N, 2l+1, C) features of the same shapes."""
        squares = torch.cat([(t * t).sum((1, 2), keepdim=True) for t in x], dim=-1)
        inverse = torch.rsqrt((squares * self.shares).sum(-1, keepdim=True) + self.epsilon)
        return [t * inverse * weight for t, weight in zip(x, self.weights, strict=True)]


class SiluGate(nn.Module):
    """SiLU of even scalars, tanh of odd ones; tensors times the SiLU of scalars of their own.

    Attributes:
        ins: channels that it takes: the even scalars are followed by the gates of each tensor.
    """

    def __init__(self, outs: Channels) -> None:
        super().__init__()
        self.irreps = list(outs)
        gates = [c for (l, _), c in outs.items() if l]
        self.widths = [outs[SCALAR], *gates]
        self.ins: Channels = {**outs, SCALAR: sum(self.widths)}

    def forward(self, x: Features) -> Features:
        """(N, 2l+1, C) features with the channels given at construction."""
        scalars, *rest = torch.split(x[0], self.widths, dim=-1)
        gates = iter(rest)
        gated = [nn.functional.silu(scalars)]
        for (l, _), t in zip(self.irreps[1:], x[1:], strict=True):
            gated.append(t * nn.functional.silu(next(gates)) if l else torch.tanh(t))
        return gated


def _species_axes(blocks: list[Interaction]) -> SpeciesAxes:
    """Parameters with an entry for each element."""
    connections = {
        f"blocks.{i}.connection.weights.{n}": (0,)
        for i, block in enumerate(blocks)
        if block.connection is not None and block.connection.by_species
        for n in range(len(block.connection.weights))
    }
    return {"species": (0,), "scale": (0,), **connections}
