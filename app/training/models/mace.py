"""MACE: messages of many bodies (Batatia, Kovács, Simm, Ortner & Csányi, NeurIPS 2022).

An interaction block mixes the channels of the neighbours' features, convolves them with the
harmonics of the edges (`app.training.models.convolution`), and mixes the sums. Products of up to
three of these sums (`app.training.models.contraction`) are an atom's new features, to which those of
before are added. After B blocks an atom knows of atoms up to B cutoffs away. The scalars of each
block give a share of its energy.

Where this differs from the paper and its code:

- The energy of an atom without neighbours is subtracted, so that it is exactly the reference energy,
  the shift of its element.
- Each symmetric polynomial is there once; the code has weights for some that depend on others.
- Activations are not normalised; the gains of what follows are in the initial weights.
- Features have the parity (−1)^l, and harmonics too.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from app.atoms.irreps import harmonic_irreps
from app.atoms.pair_terms import Screening
from app.training.models.angular import SphericalHarmonics
from app.training.models.architecture import ArchitectureConfig
from app.training.models.contraction import SymmetricContraction
from app.training.models.convolution import Convolution, Couplings, Edges
from app.training.models.equivariant import SCALAR, Channels, EquivariantLinear, Features
from app.training.models.inputs import LocalInputs, ModelInputs
from app.training.models.layers import SILU_GAIN, linear
from app.training.models.network import Elementwise, Network, SpeciesAxes
from app.training.models.pairs import of_both, radii
from app.training.models.radial import AgnesiTransform, BesselBasis, PolynomialEnvelope
from app.training.models.repulsion import Repulsion

SCREENING = Screening(
    coulomb=14.3996,
    length=0.4543 * 0.529,
    exponent=0.3,
    shares=(0.1818, 0.5099, 0.2802, 0.02817),
    decays=(3.2, 0.9423, 0.4028, 0.2016),
)
"""Of the repulsion of nuclei, as its code has it, up to the power of the envelope."""


class MACEConfig(ArchitectureConfig):
    """Hyperparameters of MACE; the defaults train on two CPU cores.

    Attributes:
        cutoff: Å.
        l_max: highest degree of the harmonics and the messages.
        channels: of each degree.
        feature_l: highest degree of an atom's features between blocks.
        correlation: most factors in a product of messages.
        num_layers: interaction blocks.
        first_residual: whether the first block adds the element's own features to its result.
        density: whether messages are divided by one plus a learned density of the neighbours.
        radial_hidden: hidden widths of the radial networks.
        num_bessels: radial basis functions.
        distance_transform: what they are functions of: the distance, or its `agnesi` transform.
        envelope_power: p of the polynomial envelope.
        readout_hidden: width of the hidden layer that the last block's scalars go through.
        nuclear_repulsion: whether the repulsion of nuclei is added to the network's energy before
            the scale.
    """

    architecture: Literal["mace"] = "mace"
    l_max: int = Field(default=2, ge=0, le=3)
    channels: int = Field(default=32, ge=1)
    feature_l: int = Field(default=1, ge=0, le=3)
    correlation: int = Field(default=3, ge=1, le=3)
    num_layers: int = Field(default=2, ge=1)
    first_residual: bool = False
    density: bool = False
    radial_hidden: tuple[PositiveInt, ...] = (64, 64, 64)
    num_bessels: int = Field(default=8, ge=1)
    distance_transform: Literal["none", "agnesi"] = "none"
    envelope_power: int = Field(default=5, ge=2)
    readout_hidden: int = Field(default=16, ge=1)
    nuclear_repulsion: bool = False

    @property
    def receptive_field(self) -> float:
        """Å; a cutoff with each block."""
        return self.num_layers * self.cutoff

    def build(self, num_elements: int, force_scale: float, average_neighbors: float) -> "MACE":
        """A freshly initialised model."""
        return MACE(self, num_elements, force_scale, average_neighbors)

    @property
    def messages(self) -> Channels:
        """Channels of the convolutions' sums."""
        return dict.fromkeys(harmonic_irreps(self.l_max, True), self.channels)

    def plan(self) -> list[Channels]:
        """Channels before each block and after the last one."""
        between = dict.fromkeys(harmonic_irreps(self.feature_l, True), self.channels)
        scalars = {SCALAR: self.channels}
        return [scalars, *[between] * (self.num_layers - 1), scalars]

    @model_validator(mode="after")
    def _fits_together(self) -> "MACEConfig":
        if self.feature_l > self.l_max:
            raise ValueError(f"feature_l {self.feature_l} must not exceed l_max {self.l_max}")
        return self


class MACE(Network):
    """MACE for a fixed list of elements, which `set_elements` tells.

    Args:
        config: hyperparameters.
        num_elements: S, number of elements.
        force_scale: eV/Å; the model's unit of energy is this times 1 Å, at first.
        average_neighbors: mean number of neighbours of an atom, by which sums are normalised.
    """

    strictly_local = False
    elementwise: Elementwise = ("species", "paths")
    far: Tensor
    radii: Tensor

    def __init__(
        self,
        config: MACEConfig,
        num_elements: int,
        force_scale: float,
        average_neighbors: float,
    ) -> None:
        super().__init__()
        self.config = config
        plan = config.plan()
        self.basis = BesselBasis(config.cutoff, config.num_bessels)
        self.envelope = PolynomialEnvelope(config.cutoff, config.envelope_power)
        self.transform = AgnesiTransform() if config.distance_transform == "agnesi" else None
        self.harmonics = SphericalHarmonics(config.l_max)
        self.species = nn.Parameter(torch.randn(num_elements, 1, config.channels))
        blocks = [
            Interaction(config, plan[i], plan[i + 1], num_elements, first=i == 0)
            for i in range(config.num_layers)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.species_axes = _species_axes(self)
        products = [p for block in blocks for p in block.convolution.products]
        self.couplings = Couplings(products, torch.tensor(1 / math.sqrt(average_neighbors)))
        self.hidden = linear(config.channels, config.readout_hidden)
        width = config.channels * (config.num_layers - 1) + config.readout_hidden
        self.readout = linear(width, 1, SILU_GAIN)
        self.scale = nn.Parameter(torch.full((num_elements,), force_scale))
        self.repulsion: Repulsion | None = None
        self.register_buffer("far", torch.tensor([2 * config.cutoff, 0.0, 0.0]), persistent=False)
        self.register_buffer("radii", torch.ones(num_elements), persistent=False)

    def set_elements(self, elements: Sequence[str]) -> None:
        """See `Network`: the covalent radii, Å, and the repulsion of nuclei."""
        self.radii = radii(elements, math.inf)
        if self.config.nuclear_repulsion:
            screening = SCREENING._replace(power=self.config.envelope_power)
            self.repulsion = Repulsion(elements, self.config.cutoff, screening)

    def features(self, inputs: ModelInputs) -> Tensor:
        """(N, H), eV: what the last layer makes the energies of; zero for an atom without
        neighbours.
        """
        found = self.scalars(inputs.species, self.edges(inputs))
        found = found - self.alone().index_select(0, inputs.species)
        return found * self.scale.index_select(0, inputs.species).unsqueeze(-1)

    def read(self, features: Tensor, inputs: ModelInputs) -> Tensor:
        """(N,) interaction energies, eV, from the (N, H) features."""
        energies: Tensor = self.readout(features).squeeze(-1)
        if self.repulsion is not None:
            scale = self.scale.index_select(0, inputs.species)
            energies = energies + self.repulsion(inputs.local()) * scale
        return energies

    def alone(self) -> Tensor:
        """(S, H): what the last layer takes of atoms without neighbours, in units of `scale`."""
        return self.scalars(torch.arange(len(self.species), device=self.species.device), None)

    def energies_alone(self) -> Tensor:
        """(S,), eV: what the last layer would make of that, which `forward` leaves out."""
        energies: Tensor = self.readout(self.alone()).squeeze(-1) * self.scale
        return energies

    def scalars(self, species: Tensor, edges: Edges | None) -> Tensor:
        """(N, H) of atoms, with or without neighbours, in units of `scale`: the scalars of each block,
        those of the last one through a hidden layer.
        """
        x = [self.species.index_select(0, species)]
        found = []
        for block in self.blocks:
            x = block(x, species, edges)
            found.append(x[0].squeeze(1))
        last = nn.functional.silu(self.hidden(found.pop()))
        return torch.cat([*found, last], dim=-1)

    def edges(self, inputs: ModelInputs) -> Edges:
        """Functions of the edge vectors; a padded slot has none of the radial basis."""
        vectors = torch.where(inputs.mask.unsqueeze(-1), inputs.edge_vectors, self.far)
        distance = (vectors * vectors).sum(-1, keepdim=True).sqrt()
        degrees = [2 * l + 1 for l in range(self.config.l_max + 1)]
        harmonics = torch.split(self.harmonics(vectors / distance), degrees, dim=-1)
        basis = self.basis(self.transformed(distance, inputs.local())) * self.envelope(distance)
        mask = inputs.mask.unsqueeze(1).to(vectors.dtype)
        return Edges(basis, inputs.neighbors, inputs.reverse, mask, self.couplings(harmonics))

    def transformed(self, distance: Tensor, inputs: LocalInputs) -> Tensor:
        """(N, K, 1): what the radial basis is a function of, from distances in Å."""
        if self.transform is None:
            return distance
        of_centre, of_neighbor = of_both(self.radii, inputs)
        transformed: Tensor = self.transform(distance, (of_centre + of_neighbor).unsqueeze(-1))
        return transformed


class Interaction(nn.Module):
    """m = W₂ conv(W₁ x), divided by the density of the neighbours where there is one;
    x ← W₃ contraction(m) + W_s x, or in a block that is not residual x ← W₃ contraction(W_s m), with
    a W_s for each element s.

    Args:
        config: hyperparameters.
        ins: channels of the input.
        outs: channels of the output.
        num_elements: S, number of elements.
        first: whether it is the first block.
    """

    def __init__(
        self, config: MACEConfig, ins: Channels, outs: Channels, num_elements: int, first: bool
    ) -> None:
        super().__init__()
        messages = config.messages
        self.is_residual = config.first_residual or not first
        self.rise = EquivariantLinear(ins, ins, bias=False)
        self.convolution = Convolution(
            ins,
            harmonic_irreps(config.l_max, True),
            list(messages),
            config.num_bessels,
            config.radial_hidden,
        )
        self.fall = EquivariantLinear(self.convolution.outs, messages, bias=False)
        self.density = linear(config.num_bessels, 1) if config.density else None
        own = (ins, outs) if self.is_residual else (messages, messages)
        self.mixing = SpeciesLinear(*own, num_elements)
        degrees = [l for l, _ in outs]
        self.contraction = SymmetricContraction(
            config.l_max, degrees, config.correlation, config.channels, num_elements
        )
        self.last = EquivariantLinear(outs, outs, bias=False)

    def forward(self, x: Features, species: Tensor, edges: Edges | None) -> Features:
        """New (N, 2l+1, C) features; without edges, those of atoms without neighbours."""
        messages = self.messages(x, species, edges)
        if not self.is_residual:
            messages = self.mixing(messages, species)
        new: Features = self.last(self.contraction(messages, species))
        if self.is_residual:
            own = self.mixing(x, species)
            new = [*(a + b for a, b in zip(new, own, strict=False)), *new[len(own) :]]
        return new

    def messages(self, x: Features, species: Tensor, edges: Edges | None) -> Features:
        """(N, 2l+1, C) sums over the neighbours, mixed."""
        if edges is None:
            found: Features = self.fall(self.convolution.silent(len(species)))
            return found
        found = self.fall(self.convolution(self.rise(x), edges))
        if self.density is None:
            return found
        density = torch.tanh(self.density(edges.basis).square()).sum(1, keepdim=True)
        return [t / (density + torch.ones_like(density)) for t in found]


class SpeciesLinear(nn.Module):
    """Mixes the channels of each irrep by a matrix of the atom's element.

    Args:
        ins: channels of the input.
        outs: channels of the output; the irreps that it shares with the input come first.
        num_elements: S.
    """

    def __init__(self, ins: Channels, outs: Channels, num_elements: int) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            torch.randn(num_elements, ins[irrep], c) / math.sqrt(ins[irrep])
            for irrep, c in outs.items()
            if irrep in ins
        )

    def forward(self, x: Features, species: Tensor) -> Features:
        """(N, 2l+1, out) of the shared irreps, from the (N, 2l+1, in) features."""
        return [
            t @ weight.index_select(0, species) for t, weight in zip(x, self.weights, strict=False)
        ]


def _species_axes(model: MACE) -> SpeciesAxes:
    axes: dict[str, tuple[int, ...]] = {"species": (0,), "scale": (0,)}
    for name, module in model.named_modules():
        if isinstance(module, SpeciesLinear):
            axes |= {f"{name}.weights.{i}": (0,) for i in range(len(module.weights))}
    for i, block in enumerate(model.blocks):
        count = len(block.contraction.degrees)  # type: ignore[union-attr,arg-type]
        axes |= {f"blocks.{i}.contraction.degrees.{n}.paths": (0,) for n in range(count)}
    return axes
