"""Depth-wise tensor products of features with spherical harmonics.

Channel c of the input meets every harmonic that couples to a wanted irrep; no channels are mixed:

    y_{o,p,c} = w_{p,c} Σ C^p (x_{i,c} ⊗ Y_b)   with a product p = (i, b, o)

Couplings and harmonics are contracted first, to small matrices A(Y) of shape (2l_o+1, 2l_i+1) an
edge and product, which all channels share. The products are never made as a whole: all that follows
is linear in them, a mixing of their channels or a sum over the neighbours, and is done before the
coupling where that leaves fewer numbers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from app.atoms.irreps import Irrep, couplings, slices, width
from app.training.models.angular import coupling
from app.training.models.equivariant import Channels, Features, added_up


@dataclass(frozen=True)
class Path:
    """Products of one input irrep with B harmonics that give one output irrep.

    Attributes:
        source: the input irrep, i.
        partners: the harmonics' irreps, b.
        out: the output irrep, o.
        channels: B · C, those of the input once for each harmonic.
    """

    source: Irrep
    partners: tuple[Irrep, ...]
    out: Irrep
    channels: int

    @property
    def rows(self) -> int:
        """Components of all its products."""
        return (2 * self.out[0] + 1) * len(self.partners)

    def matrices(self, harmonics: list[Irrep]) -> Tensor:
        """(harmonics' components, (2l_o+1) · B, 2l_i+1): from harmonics to the A(Y), float64."""
        (l_in, _), (l_out, _) = self.source, self.out
        at = dict(zip(harmonics, slices(harmonics), strict=True))
        size = (width(harmonics), 2 * l_out + 1, len(self.partners), 2 * l_in + 1)
        block = torch.zeros(size, dtype=torch.float64)
        for n, partner in enumerate(self.partners):
            block[at[partner], :, n] = coupling(self.source, partner, self.out).permute(1, 2, 0)
        return block.flatten(1, 2)


def paths_to(out: Irrep, ins: Channels, harmonics: list[Irrep]) -> list[Path]:
    """The paths to an output irrep, one for each input irrep that couples to it."""
    paths = []
    for source, channels in ins.items():
        partners = tuple(b for b in harmonics if out in couplings(source, b))
        if partners:
            paths.append(Path(source, partners, out, channels * len(partners)))
    return paths


def channels_of(paths: Iterable[Path], outs: list[Irrep]) -> Channels:
    """Channels of each output irrep: as many as the paths to it have together."""
    return {out: sum(path.channels for path in paths if path.out == out) for out in outs}


class Coupling(nn.Module):
    """The matrices A(Y) of some paths, one below the other or side by side, as one matrix product.

    Args:
        blocks: matrices of each path.
        dim: 1 puts them one below the other, 2 side by side.
    """

    matrix: Tensor

    def __init__(self, blocks: list[Tensor], dim: int) -> None:
        super().__init__()
        matrices = torch.cat(blocks, dim=dim)
        self.columns = matrices.shape[2]
        matrix = matrices.flatten(1).to(torch.get_default_dtype())
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, harmonics: Tensor) -> Tensor:
        """(N, K, rows, columns) from (N, K, components) harmonics."""
        product = harmonics @ self.matrix
        matrices: Tensor = product.unflatten(-1, (-1, self.columns))  # type: ignore[no-untyped-call]
        return matrices


class InputProduct(nn.Module):
    """Unweighted products of one input irrep.

    Args:
        paths: at least one, all with that input.
        harmonics: irreps of the harmonics.
    """

    def __init__(self, paths: list[Path], harmonics: list[Irrep]) -> None:
        super().__init__()
        self.source, self.paths = paths[0].source, paths
        self.coupling = Coupling([path.matrices(harmonics) for path in paths], 1)

    def forward(
        self, features: Mapping[Irrep, Tensor], harmonics: Tensor, attention: Tensor | None = None
    ) -> dict[Path, Tensor]:
        """(N, K, 2l_o+1, B · C) of each path, from (N, K, 2l_i+1, C) features; with (N, H, K)
        attention their (N, H, 2l_o+1, B · C) sums over the neighbours.
        """
        x, matrices = features[self.source], self.coupling(harmonics)
        products = matrices @ x if attention is None else attended(matrices, x, attention)
        parts = torch.split(products, [path.rows for path in self.paths], dim=2)
        return {
            path: part.reshape(*part.shape[:2], 2 * path.out[0] + 1, -1)
            for path, part in zip(self.paths, parts, strict=True)
        }


def input_products(paths: Iterable[Path], harmonics: list[Irrep]) -> nn.ModuleList:
    """An `InputProduct` for each input irrep of some paths."""
    by_source: dict[Irrep, list[Path]] = {}
    for path in paths:
        by_source.setdefault(path.source, []).append(path)
    return nn.ModuleList(InputProduct(several, harmonics) for several in by_source.values())


class Message(NamedTuple):
    """Weighted products y of each edge for one output irrep.

    Attributes:
        coupled: (N, K, 2l_o+1, B · C) products of each path.
        late: (N, K, 2l_i+1, C) weighted features of each path whose coupling is still to come.
        maps: (N, K, 2l_o+1, Σ 2l_i+1) couplings of these, side by side; None where there are none.
    """

    coupled: Features
    late: Features
    maps: Tensor | None

    def mixed(self, weight: Tensor) -> Tensor:
        """(N, K, 2l_o+1, out) products y W with a (channels, out) matrix."""
        parts = [*self.coupled, *self.late]
        rows = torch.split(weight, [part.shape[-1] for part in parts])
        mixed = [part @ row for part, row in zip(parts, rows, strict=True)]
        if self.maps is not None:
            count = len(self.coupled)
            mixed[count:] = [self.maps @ joined(mixed[count:], 2)]
        return added_up(mixed)

    def summed(self, attention: Tensor) -> Tensor:
        """(N, H, 2l_o+1, channels) sums over the neighbours, from (N, H, K) attention."""
        sums = [
            (attention @ t.flatten(2)).reshape(*attention.shape[:2], *t.shape[2:])
            for t in self.coupled
        ]
        if self.maps is not None:
            maps = torch.split(self.maps, [t.shape[2] for t in self.late], dim=-1)
            sums += [attended(a, t, attention) for a, t in zip(maps, self.late, strict=True)]
        return joined(sums, -1)


class OutputMessage(nn.Module):
    """The message for one output irrep.

    Args:
        early: paths whose products are made before.
        late: paths whose coupling comes after what follows.
        harmonics: irreps of the harmonics.
    """

    def __init__(self, early: list[Path], late: list[Path], harmonics: list[Irrep]) -> None:
        super().__init__()
        self.early, self.late = early, late
        blocks = [path.matrices(harmonics) for path in late]
        self.coupling = Coupling(blocks, 2) if blocks else None

    def forward(self, weighted: Mapping[Path, Tensor], harmonics: Tensor) -> Message:
        """The message, from what each path gives.

        Args:
            weighted: (N, K, 2l_o+1, B · C) products of early paths, (N, K, 2l_i+1, C) features of
                late ones.
            harmonics: (N, K, components).
        """
        return Message(
            [weighted[path] for path in self.early],
            [weighted[path] for path in self.late],
            None if self.coupling is None else self.coupling(harmonics),
        )


class DepthwiseProduct(nn.Module):
    """Products of each edge, weighted by path and channel.

    Args:
        ins: channels of the features.
        harmonics: irreps of the harmonics.
        outs: wanted irreps.

    Attributes:
        paths: those whose coupling comes late behind the others to the same irrep.
        outs: channels of the output.
        num_weights: number of weights w, one a path and channel.
    """

    def __init__(self, ins: Channels, harmonics: list[Irrep], outs: list[Irrep]) -> None:
        super().__init__()
        self.ins = list(ins)
        self.paths: list[Path] = []
        early: list[Path] = []
        self.messages = nn.ModuleList()
        for out in outs:
            of_out, late = _by_time(paths_to(out, ins, harmonics))
            self.paths += [*of_out, *late]
            early += of_out
            self.messages.append(OutputMessage(of_out, late, harmonics))
        self.products = input_products(early, harmonics)
        self.outs = channels_of(self.paths, outs)
        self.num_weights = sum(path.channels for path in self.paths)

    def forward(self, x: Features, harmonics: Tensor, weights: Tensor) -> list[Message]:
        """The message for each output irrep.

        Args:
            x: (N, K, 2l+1, C) features of each input irrep.
            harmonics: (N, K, components).
            weights: (N, K, `num_weights`).
        """
        features = dict(zip(self.ins, x, strict=True))
        products: dict[Path, Tensor] = {}
        for product in self.products:
            products |= product(features, harmonics)
        split = torch.split(weights.unsqueeze(2), [path.channels for path in self.paths], dim=-1)
        weighted = {
            path: (products[path] if path in products else features[path.source]) * weight
            for path, weight in zip(self.paths, split, strict=True)
        }
        return [message(weighted, harmonics) for message in self.messages]


def _by_time(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Paths whose products are made at once, and those whose coupling comes late, with one harmonic
    each: where the input has fewer components than the output, or one.
    """
    early, late = [], []
    for path in paths:
        (l_in, _), (l_out, _) = path.source, path.out
        if l_in and l_in >= l_out:
            early.append(path)
        else:
            channels = path.channels // len(path.partners)
            late += [Path(path.source, (b,), path.out, channels) for b in path.partners]
    return early, late


class AttendedProduct(nn.Module):
    """Unweighted products, summed over the neighbours for each head.

    Sums over slots and input components are one matrix product an atom: no product is made an edge.

    Args:
        ins: channels of the features.
        harmonics: irreps of the harmonics.
        outs: wanted irreps.

    Attributes:
        outs: channels of the output.
    """

    def __init__(self, ins: Channels, harmonics: list[Irrep], outs: list[Irrep]) -> None:
        super().__init__()
        self.ins = list(ins)
        self.paths = [path for out in outs for path in paths_to(out, ins, harmonics)]
        self.products = input_products(self.paths, harmonics)
        self.outs = channels_of(self.paths, outs)

    def forward(self, x: Features, harmonics: Tensor, attention: Tensor) -> Features:
        """(N, H, 2l+1, channels) from (N, K, 2l+1, C) features and (N, H, K) attention."""
        features = dict(zip(self.ins, x, strict=True))
        sums: dict[Path, Tensor] = {}
        for product in self.products:
            sums |= product(features, harmonics, attention)
        return [joined([sums[p] for p in self.paths if p.out == out], -1) for out in self.outs]


def attended(a: Tensor, t: Tensor, attention: Tensor) -> Tensor:
    """(N, H, rows, C) sums Σ_j a_ij A_ij t_ij, from (N, K, rows, M) matrices A, (N, K, M, C) t and
    (N, H, K) a.
    """
    n, heads, _ = attention.shape
    by_head = a.transpose(1, 2).unsqueeze(1) * attention.unsqueeze(2).unsqueeze(-1)
    rows = by_head.reshape(n, heads * a.shape[2], -1)
    return (rows @ t.flatten(1, 2)).reshape(n, heads, a.shape[2], t.shape[3])


def joined(parts: list[Tensor], dim: int) -> Tensor:
    """The concatenation of one tensor (...) or more."""
    return torch.cat(parts, dim=dim) if len(parts) > 1 else parts[0]
