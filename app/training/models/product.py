"""The depth-wise tensor product of features with spherical harmonics.

Channel c of the input meets every harmonic that couples to a wanted irrep; no channels are mixed:

    y_{o,p,c} = w_{p,c} Σ C^p (x_{i,c} ⊗ Y_b),   a path p = (i, b, o)

Couplings and harmonics are contracted first, to one small matrix an edge and input irrep, A(Y) of shape
(rows, 2l_i+1), that all channels share. Rows are grouped by output irrep, and in a group components come
before paths, so that a group's rows reshape into (2l_o+1, paths · C) without moving anything.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from app.training.models.angular import Irrep, coupling, couplings, slices, width
from app.training.models.equivariant import Channels, Features


class DepthwiseProduct(nn.Module):
    """Products with harmonics.

    Args:
        ins: channels of the features.
        harmonics: irreps of the harmonics.
        outs: wanted irreps.

    Attributes:
        outs: channels of the output: of each irrep, as many as the paths to it have together.
        num_weights: number of weights w, one a path and channel.
    """

    def __init__(self, ins: Channels, harmonics: list[Irrep], outs: list[Irrep]) -> None:
        super().__init__()
        self.components = [2 * l + 1 for l, _ in outs]
        self.in_components = [2 * l + 1 for l, _ in ins]
        self.paths = [[_partners(i, harmonics, o) for o in outs] for i in ins]
        for n, i in enumerate(ins):
            self.register_buffer(f"coupling{n}", _coupling(i, harmonics, outs), persistent=False)
        counts = [[c * len(group) for group in groups] for c, groups in zip(ins.values(), self.paths, strict=True)]
        self.outs: Channels = {o: sum(row[n] for row in counts) for n, o in enumerate(outs)}
        self.weight_counts = counts
        self.num_weights = sum(map(sum, counts))

    def maps(self, harmonics: Tensor) -> list[Tensor]:
        """A(Y): (N, K, rows, 2l+1) for each input irrep, from (N, K, components) harmonics."""
        return [
            (harmonics @ getattr(self, f"coupling{n}")).unflatten(-1, (-1, size))
            for n, size in enumerate(self.in_components)
        ]

    def forward(self, x: Features, harmonics: Tensor, weights: Tensor) -> Features:
        """(N, K, 2l+1, paths · C) for each wanted irrep.

        Args:
            x: (N, K, 2l+1, C) features of the edges, for each irrep.
            harmonics: (N, K, components).
            weights: (N, K, `num_weights`).
        """
        products = [a @ t for a, t in zip(self.maps(harmonics), x, strict=True)]
        parts = iter(torch.split(weights.unsqueeze(2), [c for row in self.weight_counts for c in row if c], dim=-1))
        return self._grouped(products, parts)

    def summed(self, x: Features, harmonics: Tensor, attention: Tensor) -> Features:
        """(N, H, 2l+1, paths · C): unweighted products, summed over the neighbours for each head.

        Sums over slots and input components are one matrix product an atom: no product is made an edge.

        Args:
            x: (N, K, 2l+1, C) features of the edges, for each irrep.
            harmonics: (N, K, components).
            attention: (N, H, K).
        """
        n, heads, _ = attention.shape
        products = []
        for a, t in zip(self.maps(harmonics), x, strict=True):
            by_head = a.transpose(1, 2).unsqueeze(1) * attention.unsqueeze(2).unsqueeze(-1)
            rows = by_head.reshape(n, heads * a.shape[2], -1)
            products.append((rows @ t.flatten(1, 2)).reshape(n, heads, a.shape[2], t.shape[3]))
        return self._grouped(products)

    def _grouped(self, products: list[Tensor], weights: Iterator[Tensor] | None = None) -> Features:
        """From (..., rows, C) an input irrep to (..., 2l+1, paths · C) an output irrep."""
        groups: list[Features] = [[] for _ in self.components]
        for product, paths in zip(products, self.paths, strict=True):
            sizes = [m * len(group) for m, group in zip(self.components, paths, strict=True)]
            parts = torch.split(product, sizes, dim=-2)
            for n, (part, m) in enumerate(zip(parts, self.components, strict=True)):
                if sizes[n]:
                    group = part.reshape(*part.shape[:-2], m, -1)
                    groups[n].append(group if weights is None else group * next(weights))
        return [torch.cat(group, dim=-1) if len(group) > 1 else group[0] for group in groups]


def _partners(i: Irrep, harmonics: list[Irrep], out: Irrep) -> list[Irrep]:
    return [b for b in harmonics if out in couplings(i, b)]


def _coupling(i: Irrep, harmonics: list[Irrep], outs: list[Irrep]) -> Tensor:
    """(harmonics' components, rows · (2l+1)): from harmonics to A(Y), flattened."""
    at = dict(zip(harmonics, slices(harmonics), strict=True))
    blocks = []
    for o in outs:
        group = _partners(i, harmonics, o)
        block = torch.zeros(width(harmonics), 2 * o[0] + 1, len(group), 2 * i[0] + 1, dtype=torch.float64)
        for n, b in enumerate(group):
            block[at[b], :, n] = coupling(i, b, o).permute(1, 2, 0)
        blocks.append(block.flatten(1, 2))
    return torch.cat(blocks, dim=1).flatten(1).to(torch.get_default_dtype())
