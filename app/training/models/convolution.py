"""Convolutions with harmonics: weighted tensor products, summed over the neighbours.

Channel c of a neighbour's features meets every harmonic of the edge that couples to a wanted irrep;
no channels are mixed:

    z_{o,p,c} = Σ_j w_{p,c}(r_ij) C^p (x_{j,i,c} ⊗ Y_b(r_ij))   with a product p = (i, b, o)

Couplings and harmonics are contracted first, to small matrices A(Y) of shape (2l_i+1, 2l_o+1) an
edge, which all channels and all layers share. An edge's features are multiplied with their weights
and, as one matrix product an atom over slots and components, coupled and summed. No product is made
an edge, and channels are mixed an atom, before and after.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from app.atoms.irreps import Irrep, couplings
from app.training.models.angular import coupling
from app.training.models.equivariant import Channels, Features
from app.training.models.gather import gather
from app.training.models.layers import mlp

Degrees = tuple[int, int, int]
"""Of the features, the harmonic and the product."""


class Product(NamedTuple):
    """One irrep of the features with one harmonic to one irrep.

    Attributes:
        source: irrep of the features.
        partner: irrep of the harmonic.
        out: irrep of the product.
    """

    source: Irrep
    partner: Irrep
    out: Irrep

    @property
    def degrees(self) -> Degrees:
        """What its coupling depends on."""
        return self.source[0], self.partner[0], self.out[0]


class Edges(NamedTuple):
    """What the layers take of a graph's edges.

    Attributes:
        basis: (N, K, B) radial basis times the envelope, zero where padded.
        neighbors: (N, K) atom index of each neighbour.
        reverse: (N, K) flat slot of each reverse edge.
        mask: (N, 1, K) one where the slot holds an edge, else zero.
        maps: (N, K · (2l_i+1), 2l_o+1) couplings contracted with the harmonics, by degrees.
    """

    basis: Tensor
    neighbors: Tensor
    reverse: Tensor
    mask: Tensor
    maps: dict[Degrees, Tensor]


def products_of(ins: Channels, harmonics: list[Irrep], outs: Sequence[Irrep]) -> list[Product]:
    """All products to the wanted irreps, those to one irrep together, in the order of the inputs."""
    return [
        Product(source, partner, out)
        for out in outs
        for source in ins
        for partner in harmonics
        if out in couplings(source, partner)
    ]


class Couplings(nn.Module):
    """The matrices A(Y) of all degrees that some products need, times a factor.

    Args:
        products: of all layers.
        factor: scalar buffer, 1 / √(average number of neighbours).
    """

    factor: Tensor

    def __init__(self, products: Sequence[Product], factor: Tensor) -> None:
        super().__init__()
        self.degrees = list(dict.fromkeys(product.degrees for product in products))
        for i, (source, partner, out) in enumerate(self.degrees):
            tensor = coupling((source, 1), (partner, 1), (out, 1)).transpose(0, 1)
            matrix = tensor.flatten(1).to(torch.get_default_dtype())
            self.register_buffer(f"matrix{i}", matrix, persistent=False)
        self.register_buffer("factor", factor)

    def forward(self, harmonics: Sequence[Tensor]) -> dict[Degrees, Tensor]:
        """(N, K · (2l_i+1), 2l_o+1) of each, from the (N, K, 2l+1) harmonics of each degree."""
        maps = {}
        for i, degrees in enumerate(self.degrees):
            matrix = harmonics[degrees[1]] @ (getattr(self, f"matrix{i}") * self.factor)
            n, k, _ = matrix.shape
            maps[degrees] = matrix.reshape(n, k * (2 * degrees[0] + 1), 2 * degrees[2] + 1)
        return maps


class Convolution(nn.Module):
    """Products of the neighbours' features with the harmonics, weighted by a radial network, summed.

    Args:
        ins: channels of the features.
        harmonics: irreps of the harmonics.
        outs: wanted irreps.
        basis: number of radial basis functions.
        hidden: hidden widths of the radial network, which has no biases, so that it gives nothing
            where the basis is zero.

    Attributes:
        products: in the order of the weights.
        outs: channels of the output: those of all products to an irrep.
    """

    def __init__(
        self,
        ins: Channels,
        harmonics: list[Irrep],
        outs: Sequence[Irrep],
        basis: int,
        hidden: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.ins = ins
        self.products = products_of(ins, harmonics, outs)
        self.widths = [ins[product.source] for product in self.products]
        self.outs: Channels = {
            out: sum(ins[p.source] for p in self.products if p.out == out) for out in outs
        }
        *layers, last = mlp(basis, hidden, sum(self.widths))
        self.radial = nn.Sequential(*layers)
        self.last = cast(nn.Linear, last)

    def forward(self, x: Features, edges: Edges) -> Features:
        """(N, 2l+1, C) sums for each wanted irrep, from the (N, 2l+1, C) features of the atoms."""
        neighbors = {irrep: self._gathered(t, edges) for irrep, t in zip(self.ins, x, strict=True)}
        hidden = self.radial(edges.basis)
        sums: dict[Irrep, list[Tensor]] = {out: [] for out in self.outs}
        matrices = torch.split(self.last.weight, self.widths)
        for product, matrix in zip(self.products, matrices, strict=True):
            weights = nn.functional.linear(hidden, matrix).unsqueeze(2)
            weighted = (neighbors[product.source] * weights).flatten(1, 2)
            sums[product.out].append(edges.maps[product.degrees].transpose(1, 2) @ weighted)
        return [torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0] for parts in sums.values()]

    def silent(self, atoms: int) -> Features:
        """The sums of atoms without neighbours: zeros (atoms, 2l+1, C)."""
        like = self.last.weight
        return [like.new_zeros((atoms, 2 * l + 1, c)) for (l, _), c in self.outs.items()]

    @staticmethod
    def _gathered(t: Tensor, edges: Edges) -> Tensor:
        """(N, K, 2l+1, C)."""
        rows = gather(t.flatten(1), edges.neighbors, edges.reverse, edges.mask)
        return rows.reshape(*rows.shape[:2], *t.shape[1:])
