"""Symmetric contractions: all equivariant polynomials of an atom's features, up to a degree.

Channel by channel, the features x (components of every degree l ≤ l_max, of parity (−1)^l) give

    z_{L,M} = Σ_ν Σ_p W_{ν,p} Σ U^{ν,p}_{i…,M} x_i …  with ν factors x (Batatia et al. 2022, eq. 10),

where the U^{ν,p} span the equivariant, symmetric tensors of ν features to degree L, each once: trees
of couplings l₁ ⊗ l₂ → l₁₂, l₁₂ ⊗ l₃ → L with l₁ ≤ l₂ ≤ l₃, symmetrised where degrees are equal,
without those that depend on others.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from app.training.models.angular import coupling
from app.training.models.equivariant import Features

DEPENDENT = 1e-6
"""Share of a tensor's length below which what is left of it is rounding."""


def polynomials(l_max: int, degree: int, out: int) -> Tensor:
    """(P, d, …, d, 2L+1), float64, d = (l_max+1)², with one axis of length d for each of up to three
    factors: independent equivariant maps to degree L = `out` with the parity (−1)^L. Polynomials of
    normal components have about unit variance.
    """
    found = []
    for degrees in itertools.combinations_with_replacement(range(l_max + 1), degree):
        if (sum(degrees) + out) % 2 == 0:
            found += [_embedded(t, degrees, l_max) for t in _independent(degrees, out)]
    size = (l_max + 1) ** 2
    empty = torch.zeros(0, *[size] * degree, 2 * out + 1, dtype=torch.float64)
    return torch.stack(found) if found else empty


def _independent(degrees: tuple[int, ...], out: int) -> Iterator[Tensor]:
    """Orthogonal tensors (2l₁+1, …, 2L+1), symmetric in equal degrees."""
    equal = math.prod(math.factorial(count) for count in Counter(degrees).values())
    kept: list[Tensor] = []
    for tree in _trees(degrees, out):
        tensor = _symmetrised(tree, degrees)
        length = tree.norm()
        for other in kept:
            tensor = tensor - (tensor * other).sum() / (other * other).sum() * other
        if tensor.norm() > DEPENDENT * length:
            kept.append(tensor / tensor.norm() * math.sqrt((2 * out + 1) / equal))
    yield from kept


def _trees(degrees: tuple[int, ...], out: int) -> Iterator[Tensor]:
    """Couplings of the degrees one after the other, (2l₁+1, …, 2L+1)."""
    first, *others = degrees
    if not others:
        if first == out:
            yield torch.eye(2 * out + 1, dtype=torch.float64)
        return
    *before, last = degrees
    for middle in range(abs(out - last), out + last + 1):
        step = coupling((middle, 1), (last, 1), (out, 1))
        for tree in _trees(tuple(before), middle):
            yield torch.tensordot(tree, step, dims=1)


def _symmetrised(tensor: Tensor, degrees: tuple[int, ...]) -> Tensor:
    """Its mean over all orders of equal degrees."""
    places = range(len(degrees))
    orders = [
        order
        for order in itertools.permutations(places)
        if all(degrees[a] == degrees[b] for a, b in zip(order, places, strict=True))
    ]
    return torch.stack([tensor.permute(*order, -1) for order in orders]).mean(0)


def _embedded(tensor: Tensor, degrees: tuple[int, ...], l_max: int) -> Tensor:
    """The tensor where its degrees are among the components of all."""
    size = (l_max + 1) ** 2
    whole = tensor.new_zeros(*[size] * len(degrees), tensor.shape[-1])
    whole[tuple(slice(l * l, (l + 1) ** 2) for l in degrees)] = tensor
    return whole


class Contraction(nn.Module):
    """The polynomials to one degree, weighted by channel and element.

    Args:
        l_max: highest degree of the features.
        out: degree L.
        correlation: highest number of factors, 1 to 3.
        channels: C.
        num_elements: S.
    """

    def __init__(
        self, l_max: int, out: int, correlation: int, channels: int, num_elements: int
    ) -> None:
        super().__init__()
        self.out, size = out, (l_max + 1) ** 2
        bases = [polynomials(l_max, degree, out) for degree in range(1, correlation + 1)]
        self.counts = [len(basis) for basis in bases]
        for degree, basis in enumerate(bases, 1):
            # Columns: of a third factor its components, then those of the result, then polynomials.
            matrix = basis.movedim(0, -1).reshape(size ** min(degree, 2), -1)
            self.register_buffer(
                f"basis{degree}", matrix.to(torch.get_default_dtype()), persistent=False
            )
        count = sum(self.counts)
        self.paths = nn.Parameter(torch.randn(num_elements, count, channels) / math.sqrt(count))

    def forward(self, x: Tensor, pairs: Tensor, species: Tensor) -> Tensor:
        """(N, 2L+1, C).

        Args:
            x: (N, C, d) features.
            pairs: (N, C, d²) products of two.
            species: (N,).
        """
        parts = []
        for degree, count in enumerate(self.counts, 1):
            if count:
                part = (x if degree == 1 else pairs) @ getattr(self, f"basis{degree}")
                if degree == 3:
                    cubic = part.reshape(*x.shape, (2 * self.out + 1) * count)
                    part = (cubic * x.unsqueeze(-1)).sum(-2)
                parts.append(part.reshape(*x.shape[:2], 2 * self.out + 1, count))
        values = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        weights = self.paths.index_select(0, species).transpose(1, 2).unsqueeze(-1)
        return (values @ weights).squeeze(-1).transpose(1, 2)


class SymmetricContraction(nn.Module):
    """The polynomials to several degrees.

    Args:
        l_max: highest degree of the features.
        outs: degrees of the results.
        correlation: highest number of factors, 1 to 3.
        channels: C, of the features and of the results.
        num_elements: S.
    """

    def __init__(
        self, l_max: int, outs: list[int], correlation: int, channels: int, num_elements: int
    ) -> None:
        super().__init__()
        self.degrees = nn.ModuleList(
            Contraction(l_max, out, correlation, channels, num_elements) for out in outs
        )

    def forward(self, x: Features, species: Tensor) -> Features:
        """(N, 2L+1, C) of each degree, from the (N, 2l+1, C) features of all degrees."""
        components = torch.cat(x, dim=1).transpose(1, 2)
        pairs = (components.unsqueeze(-1) * components.unsqueeze(-2)).flatten(-2)
        return [contraction(components, pairs, species) for contraction in self.degrees]
