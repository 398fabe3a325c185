"""Allegro: a strictly local equivariant potential (Musaelian et al., Nat. Commun. 14, 579, 2023).

Scalars x and tensors V live on directed edges. In each layer the tensors of an edge are multiplied
with a weighted sum of the harmonics of all edges around the same centre, the scalars that come out
update x through a latent MLP, and x decides the weights of the next layer's sum. No information
leaves the cutoff sphere, so the receptive field is the cutoff however many layers there are.

The scalars are (N, K, features), so that layers on them are products of two matrices; the tensors are
(N, channels, components, K), so that nothing but single axes is ever moved.

Where this differs from the paper: each path of the tensor product has one weight per channel and
paths of equal irrep are summed before the channels are mixed. (Scalars keep their paths apart.)
"""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from app.atoms.irreps import Irrep, harmonic_irreps, slices, width
from app.backends.allegro_tables import SCALAR, path_basis, product_paths, tensor_irreps
from app.training.models.angular import SphericalHarmonics
from app.training.models.architecture import ArchitectureConfig
from app.training.models.inputs import LocalInputs
from app.training.models.layers import SILU_GAIN, linear, mlp
from app.training.models.network import Network
from app.training.models.radial import BesselBasis, PolynomialEnvelope
from app.training.models.silu import silu


class AllegroConfig(ArchitectureConfig):
    """Hyperparameters of Allegro; the defaults train on two CPU cores.

    Attributes:
        cutoff: Å.
        l_max: highest degree of the harmonics and the tensors.
        num_layers: tensor-product layers.
        num_scalars: width of the edges' scalars.
        num_tensors: channels of the edges' tensors.
        parity: `full` keeps tensors of both mirror parities, `natural` those of the harmonics,
            (−1)^l, and `none` ignores mirror symmetry (SO(3)).
        two_body_mlp: hidden widths of the two-body embedding.
        latent_mlp: hidden widths of each layer's latent MLP.
        readout_mlp: hidden widths of the edge-energy MLP.
        num_bessels: radial basis functions.
        envelope_power: p of the polynomial envelope.
    """

    architecture: Literal["allegro"] = "allegro"
    l_max: int = Field(default=2, ge=0, le=8)
    num_layers: int = Field(default=2, ge=1)
    num_scalars: int = Field(default=64, ge=1)
    num_tensors: int = Field(default=16, ge=1)
    parity: Literal["full", "natural", "none"] = "full"
    two_body_mlp: tuple[int, ...] = (64,)
    latent_mlp: tuple[int, ...] = (64,)
    readout_mlp: tuple[int, ...] = (32,)
    num_bessels: int = Field(default=8, ge=1)
    envelope_power: int = Field(default=6, ge=2)

    can_take_charge: ClassVar[bool] = True
    widths: ClassVar[tuple[str, ...]] = (
        "num_scalars",
        "num_tensors",
        "two_body_mlp",
        "latent_mlp",
        "readout_mlp",
    )

    def build(self, num_elements: int, force_scale: float, average_neighbors: float) -> "Allegro":
        """A freshly initialised model."""
        return Allegro(self, num_elements, force_scale, average_neighbors)


class Allegro(Network):
    """Allegro for a fixed list of elements.

    Args:
        config: hyperparameters.
        num_elements: S, number of elements.
        force_scale: eV/Å; the model's unit of energy is this times 1 Å.
        average_neighbors: mean number of neighbours, by which sums over neighbours are normalised.
    """

    strictly_local = True
    elementwise = (
        "embedding.centre",
        "embedding.neighbor",
        "embedding.charge",
        "product.weights",
    )
    degree: Tensor
    far: Tensor
    normalization: Tensor

    def __init__(
        self, config: AllegroConfig, num_elements: int, force_scale: float, average_neighbors: float
    ) -> None:
        super().__init__()
        self.config = config
        self.takes_charge = config.takes_charge
        tables = ("centre", "neighbor", "charge") if config.takes_charge else ("centre", "neighbor")
        self.species_axes = {
            "scale": (0,),
            **{f"embedding.{name}": (0,) for name in tables},
        }
        mirror = config.parity != "none"
        self.bessel = BesselBasis(config.cutoff, config.num_bessels)
        self.envelope = PolynomialEnvelope(config.cutoff, config.envelope_power)
        self.harmonics = SphericalHarmonics(config.l_max)
        self.embedding = TwoBodyEmbedding(config, num_elements)
        self.first_weights = linear(config.num_scalars, config.num_tensors * (config.l_max + 1))
        harmonics = harmonic_irreps(config.l_max, mirror)
        degrees = [l for l, _ in harmonics for _ in range(2 * l + 1)]
        self.register_buffer("degree", torch.tensor(degrees), persistent=False)
        plan = tensor_irreps(config.l_max, config.num_layers, config.parity)
        self.layers = nn.ModuleList(
            AllegroLayer(config, harmonics, plan[i], plan[i + 1], last=i + 1 == config.num_layers)
            for i in range(config.num_layers)
        )
        self.readout = mlp(config.num_scalars, config.readout_mlp, 1)
        self.register_buffer("normalization", torch.tensor(1 / math.sqrt(average_neighbors)))
        self.scale = nn.Parameter(torch.full((num_elements,), force_scale))
        far = torch.tensor([2 * config.cutoff, 0.0, 0.0])
        self.register_buffer("far", far, persistent=False)

    def read(self, features: Tensor, inputs: LocalInputs) -> Tensor:
        """(N,) interaction energies, eV, from the (N, H) features."""
        energies: Tensor = self.readout[-1](features).squeeze(-1)
        return energies

    def features(self, inputs: LocalInputs) -> Tensor:
        """(N, H), eV: what the last layer makes the energies of."""
        vectors = torch.where(inputs.mask.unsqueeze(-1), inputs.edge_vectors, self.far)
        distance = (vectors * vectors).sum(-1, keepdim=True).sqrt()
        harmonics = self.harmonics(vectors / distance)
        envelope = self.envelope(distance)
        x = self.embedding(self.bessel(distance) * envelope, inputs) * envelope
        tensors = self._first_tensors(x) * harmonics.transpose(1, 2).unsqueeze(1)
        for layer in self.layers:
            x, tensors = layer(x, tensors, harmonics, envelope, self.normalization)
        hidden = self.readout[:-1](x).sum(1)
        scale = self.normalization * self.scale.index_select(0, inputs.species)
        features: Tensor = hidden * scale.unsqueeze(1)
        return features

    def _first_tensors(self, x: Tensor) -> Tensor:
        """(N, C, components, K): the weight of each component, the same within a degree."""
        channels = self.config.num_tensors
        weight = self.first_weights.weight.reshape(channels, self.config.l_max + 1, -1)
        weight = weight.index_select(1, self.degree).flatten(0, 1)
        weights = nn.functional.linear(x, weight).transpose(1, 2)
        return weights.reshape(x.shape[0], channels, -1, x.shape[1])


class TwoBodyEmbedding(nn.Module):
    """Scalars of an edge from its two elements and its length."""

    def __init__(self, config: AllegroConfig, num_elements: int) -> None:
        super().__init__()
        hidden = config.two_body_mlp[0] if config.two_body_mlp else config.num_scalars
        self.takes_charge = config.takes_charge
        self.radial = linear(config.num_bessels, hidden)
        self.centre = nn.Parameter(torch.randn(num_elements, hidden) / math.sqrt(2))
        self.neighbor = nn.Parameter(torch.randn(num_elements, hidden) / math.sqrt(2))
        if config.takes_charge:
            # an ion begins as its neutral twin, whose chemistry it shares but for some atoms
            self.charge = nn.Parameter(torch.zeros(num_elements, 2, hidden))
        self.rest = mlp(hidden, config.two_body_mlp[1:], config.num_scalars, gain=SILU_GAIN)

    def forward(self, radial: Tensor, inputs: LocalInputs) -> Tensor:
        """(N, K, scalars) from the (N, K, bessels) radial basis."""
        neighbors = self.neighbor.index_select(0, inputs.neighbor_species.flatten())
        centre = self.centre.index_select(0, inputs.species)
        if self.takes_charge:
            centre = centre + self._of_charge(inputs)
        hidden = self.radial(radial) + centre.unsqueeze(1)
        hidden = hidden + neighbors.reshape(*inputs.mask.shape, -1)
        out: Tensor = self.rest(silu(hidden))
        return out

    def _of_charge(self, inputs: LocalInputs) -> Tensor:
        """(N, hidden): c_s·q + d_s·q² of the centre's element s and the total charge q; none of a
        neutral structure.
        """
        assert inputs.charge is not None
        charge = inputs.charge.unsqueeze(1)
        first, second = self.charge.index_select(0, inputs.species).unbind(1)
        of_charge: Tensor = charge * (first + charge * second)
        return of_charge


class AllegroLayer(nn.Module):
    """One tensor product with the environment, and the latent update that follows it."""

    def __init__(
        self,
        config: AllegroConfig,
        harmonics: list[Irrep],
        ins: list[Irrep],
        outs: list[Irrep],
        last: bool,
    ) -> None:
        super().__init__()
        self.channels = config.num_tensors
        self.environment = Environment(config, harmonics)
        self.product = EnvironmentProduct(config.num_tensors, ins, harmonics, outs)
        scalars = self.product.num_scalar_paths
        self.latent = LatentUpdate(config, config.num_tensors * scalars)
        self.mix = None if last else ChannelMix(config.num_tensors, scalars, outs)

    def forward(
        self, x: Tensor, tensors: Tensor, harmonics: Tensor, envelope: Tensor, normalization: Tensor
    ) -> tuple[Tensor, Tensor]:
        """New (N, K, scalars) and (N, C, components, K) of the edges."""
        environment = self.environment(x, harmonics) * normalization
        scalars, *rest = torch.split(self.product(tensors, environment), self.product.widths, dim=2)
        scalars = scalars.flatten(1, 2)
        x = self.latent(x, scalars.transpose(1, 2), envelope)
        return x, scalars if self.mix is None else self.mix(scalars, rest)


class Environment(nn.Module):
    """Weighted sum of the harmonics of all edges around a centre, one weight a channel and degree."""

    select: Tensor

    def __init__(self, config: AllegroConfig, harmonics: list[Irrep]) -> None:
        super().__init__()
        self.channels = config.num_tensors
        self.weights = linear(config.num_scalars, config.num_tensors * (config.l_max + 1))
        self.register_buffer("select", _expansion(harmonics), persistent=False)

    def forward(self, x: Tensor, harmonics: Tensor) -> Tensor:
        """(N, C, components) from (N, K, scalars) and (N, K, components)."""
        sums = self.weights(x).transpose(1, 2) @ harmonics
        by_degree: Tensor = (
            sums.reshape(sums.shape[0], self.channels, *self.select.shape) * self.select
        )
        return by_degree.sum(2)


class EnvironmentProduct(nn.Module):
    """Tensor product of each edge's tensors with its centre's environment.

    The environment is contracted with the weighted Clebsch–Gordan tensors first, once an atom, to a
    matrix that maps input to output components; each edge then costs one small matrix product a
    channel.
    """

    basis: Tensor

    def __init__(
        self, channels: int, ins: list[Irrep], harmonics: list[Irrep], outs: list[Irrep]
    ) -> None:
        super().__init__()
        paths = product_paths(ins, harmonics, outs)
        self.num_scalar_paths = sum(o == SCALAR for _, _, o in paths)
        self.widths = [self.num_scalar_paths, *(2 * l + 1 for l, _ in outs[1:])]
        self.in_width = width(ins)
        basis = torch.from_numpy(path_basis(paths, ins, harmonics, outs))
        self.register_buffer(
            "basis", basis.flatten(1).to(torch.get_default_dtype()), persistent=False
        )
        self.weights = nn.Parameter(torch.randn(channels, len(paths)))

    def forward(self, tensors: Tensor, environment: Tensor) -> Tensor:
        """(N, C, out, K) from (N, C, in, K) tensors and the (N, C, components) environment.

        The outputs are the scalars of each path, then the other irreps, each summed over its paths.
        """
        n, c, j = environment.shape
        out_width = sum(self.widths)
        weighted = (self.weights @ self.basis).reshape(c, j, out_width * self.in_width)
        maps = torch.bmm(environment.transpose(0, 1), weighted).transpose(0, 1)
        return maps.reshape(n, c, out_width, self.in_width) @ tensors


class LatentUpdate(nn.Module):
    """x ← (x + a·u(r)·MLP(x, scalars)) / √(1 + a²) with a learned a in (0, 1)."""

    def __init__(self, config: AllegroConfig, num_products: int) -> None:
        super().__init__()
        hidden = config.latent_mlp[0] if config.latent_mlp else config.num_scalars
        self.old = linear(config.num_scalars, hidden, gain=1 / math.sqrt(2))
        self.new = linear(num_products, hidden, gain=1 / math.sqrt(2))
        self.rest = mlp(hidden, config.latent_mlp[1:], config.num_scalars, gain=SILU_GAIN)
        self.amount = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, scalars: Tensor, envelope: Tensor) -> Tensor:
        """(N, K, scalars) from (N, K, scalars), (N, K, products) and the (N, K, 1) envelope."""
        hidden = silu(self.old(x) + self.new(scalars))
        amount = torch.sigmoid(self.amount)
        # A vector: exporter and runtime leave out a scalar factor that is nearly 1, which costs
        # float64 its digits.
        norm = torch.rsqrt(1 + amount * amount).expand(x.shape[-1])
        updated: Tensor = (x + self.rest(hidden) * (envelope * amount)) * norm
        return updated


class ChannelMix(nn.Module):
    """Linear mixing of the channels within each irrep; the scalar paths are mixed into one scalar a
    channel.
    """

    def __init__(self, channels: int, scalar_paths: int, outs: list[Irrep]) -> None:
        super().__init__()
        fan_in = channels * scalar_paths
        self.scalar = nn.Parameter(torch.randn(channels, fan_in) / math.sqrt(fan_in))
        self.tensor = nn.Parameter(
            torch.randn(len(outs) - 1, channels, channels) / math.sqrt(channels)
        )

    def forward(self, scalars: Tensor, tensors: list[Tensor]) -> Tensor:
        """(N, C, components, K) from (N, C · scalar paths, K) and each other irrep's (N, C, 2l + 1,
        K).
        """
        n, _, k = scalars.shape
        mixed = [self.scalar @ scalars]
        mixed += [w @ t.flatten(2) for w, t in zip(self.tensor, tensors, strict=True)]
        return torch.cat([m.reshape(n, m.shape[1], -1, k) for m in mixed], dim=2)


def _expansion(harmonics: list[Irrep]) -> Tensor:
    """(degrees, components): one where the component belongs to the degree."""
    expansion = torch.zeros(len(harmonics), width(harmonics))
    for row, where in enumerate(slices(harmonics)):
        expansion[row, where] = 1
    return expansion
