"""Depth-wise tensor products of features with spherical harmonics.

Channel c of the input meets every harmonic that couples to a wanted irrep; no channels are mixed:

    y_{o,p,c} = w_{p,c} Σ C^p (x_{i,c} ⊗ Y_b),   a path p = (i, b, o)

Couplings and harmonics are contracted first, to small matrices A(Y) of shape (2l_o+1, 2l_i+1) an
edge and path, which all channels share. The products are never made as a whole: all that follows is
linear in them, a mixing of their channels or a sum over the neighbours, and is done before the
coupling where that leaves fewer numbers.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from app.training.models.angular import Irrep, coupling, couplings, slices, width
from app.training.models.equivariant import Channels, Features, added_up


class Part(NamedTuple):
    """What one input irrep gives to one output irrep.

    Attributes:
        i: index of the input irrep.
        o: index of the output irrep.
        partners: the harmonics' irrep of each path.
        late: whether the coupling comes after the mixing of channels; such a part has one path.
    """

    i: int
    o: int
    partners: list[Irrep]
    late: bool


class Messages(NamedTuple):
    """Weighted products y of each edge, one list for each output irrep.

    Attributes:
        coupled: (N, K, 2l_o+1, paths · C) products with each input irrep.
        late: (N, K, 2l_i+1, C) weighted features for each path whose coupling is still to come.
        maps: (N, K, 2l_o+1, Σ 2l_i+1) couplings of these, side by side; None where there are none.
    """

    coupled: list[Features]
    late: list[Features]
    maps: list[Tensor | None]

    def mixed(self, weights: list[Tensor]) -> Features:
        """(N, K, 2l+1, out) products y W with the (paths · C, out) matrices of the first output
        irreps.
        """
        return [self._mixed(o, weight) for o, weight in enumerate(weights)]

    def _mixed(self, o: int, weight: Tensor) -> Tensor:
        parts = [*self.coupled[o], *self.late[o]]
        rows = torch.split(weight, [part.shape[-1] for part in parts])
        mixed = [part @ row for part, row in zip(parts, rows, strict=True)]
        count, maps = len(self.coupled[o]), self.maps[o]
        if maps is not None:
            mixed[count:] = [maps @ joined(mixed[count:], 2)]
        return added_up(mixed)

    def summed(self, attention: Tensor, count: int) -> Features:
        """(N, H, 2l+1, paths · C) sums over neighbours of the first `count` irreps, from (N, H, K)
        attention.
        """
        return [joined(self._sums(o, attention), -1) for o in range(count)]

    def _sums(self, o: int, attention: Tensor) -> Features:
        sums = [
            (attention @ t.flatten(2)).reshape(*attention.shape[:2], *t.shape[2:])
            for t in self.coupled[o]
        ]
        maps = self.maps[o]
        if maps is not None:
            matrices = torch.split(maps, [t.shape[2] for t in self.late[o]], dim=-1)
            sums += [attended(a, t, attention) for a, t in zip(matrices, self.late[o], strict=True)]
        return sums


class DepthwiseProduct(nn.Module):
    """Products of each edge, weighted by path and channel.

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
        irreps, widths = list(ins), list(ins.values())
        self.outs_components = [2 * l + 1 for l, _ in outs]
        self.ins_components = [2 * l + 1 for l, _ in ins]
        self.parts = [_parts(irreps, harmonics, out, o) for o, out in enumerate(outs)]
        self.counts = [
            widths[part.i] * len(part.partners) for group in self.parts for part in group
        ]
        self.num_weights = sum(self.counts)
        counts = [
            sum(widths[part.i] * len(part.partners) for part in group) for group in self.parts
        ]
        self.outs: Channels = dict(zip(outs, counts, strict=True))
        self.rows = [
            [
                (part.o, self.outs_components[part.o] * len(part.partners))
                for part in self._coupled(i)
            ]
            for i in range(len(ins))
        ]
        for i, left in enumerate(irreps):
            blocks = [
                _coupling(left, part.partners, harmonics, outs[part.o]) for part in self._coupled(i)
            ]
            self._register(f"coupling{i}", [block.flatten(1, 2) for block in blocks], 1)
        for o, out in enumerate(outs):
            late = [part for part in self.parts[o] if part.late]
            blocks = [_coupling(irreps[part.i], part.partners, harmonics, out) for part in late]
            self._register(f"late{o}", [block.flatten(1, 2) for block in blocks], 2)

    def _coupled(self, i: int) -> list[Part]:
        return [part for group in self.parts for part in group if part.i == i and not part.late]

    def _register(self, name: str, blocks: list[Tensor], dim: int) -> None:
        matrix = (
            torch.cat(blocks, dim=dim).flatten(1).to(torch.get_default_dtype()) if blocks else None
        )
        self.register_buffer(name, matrix, persistent=False)

    def forward(self, x: Features, harmonics: Tensor, weights: Tensor) -> Messages:
        """Messages from (N, K, 2l+1, C) features, (N, K, components) harmonics and (N, K,
        `num_weights`) weights.
        """
        split = iter(torch.split(weights.unsqueeze(2), self.counts, dim=-1))
        products = self._products(x, harmonics)
        coupled: list[Features] = [[] for _ in self.parts]
        late: list[Features] = [[] for _ in self.parts]
        for o, group in enumerate(self.parts):
            for part in group:
                if part.late:
                    late[o].append(x[part.i] * next(split))
                else:
                    coupled[o].append(products[part.i, o] * next(split))
        matrices = [getattr(self, f"late{o}") for o in range(len(self.parts))]
        maps = [
            None if matrix is None else (harmonics @ matrix).unflatten(-1, (size, -1))
            for matrix, size in zip(matrices, self.outs_components, strict=True)
        ]
        return Messages(coupled, late, maps)

    def _products(self, x: Features, harmonics: Tensor) -> dict[tuple[int, int], Tensor]:
        """(N, K, 2l_o+1, paths · C) unweighted products of input i, for output o, whose coupling
        comes first.
        """
        products = {}
        for i, (t, size) in enumerate(zip(x, self.ins_components, strict=True)):
            if self.rows[i]:
                a = (harmonics @ getattr(self, f"coupling{i}")).unflatten(-1, (-1, size))
                for (o, _), part in zip(
                    self.rows[i], torch.split(a @ t, [n for _, n in self.rows[i]], 2), strict=True
                ):
                    products[i, o] = part.reshape(*part.shape[:2], self.outs_components[o], -1)
        return products


class AttendedProduct(nn.Module):
    """Unweighted products, summed over the neighbours for each head.

    Sums over slots and input components are one matrix product an atom: no product is made an edge.

    Args:
        ins: channels of the features.
        harmonics: irreps of the harmonics.
        outs: wanted irreps.

    Attributes:
        outs: channels of the output: of each irrep, as many as the paths to it have together.
    """

    def __init__(self, ins: Channels, harmonics: list[Irrep], outs: list[Irrep]) -> None:
        super().__init__()
        self.ins_components = [2 * l + 1 for l, _ in ins]
        self.components = [2 * l + 1 for l, _ in outs]
        self.paths = [[len(_partners(i, harmonics, o)) for o in outs] for i in ins]
        for n, i in enumerate(ins):
            blocks = [
                _coupling(i, _partners(i, harmonics, o), harmonics, o).flatten(1, 2) for o in outs
            ]
            matrix = torch.cat(blocks, dim=1).flatten(1).to(torch.get_default_dtype())
            self.register_buffer(f"coupling{n}", matrix, persistent=False)
        counts = [
            sum(c * row[n] for c, row in zip(ins.values(), self.paths, strict=True))
            for n in range(len(outs))
        ]
        self.outs: Channels = dict(zip(outs, counts, strict=True))

    def forward(self, x: Features, harmonics: Tensor, attention: Tensor) -> Features:
        """(N, H, 2l+1, paths · C) from (N, K, 2l+1, C) features and (N, H, K) attention."""
        groups: list[Features] = [[] for _ in self.components]
        for n, (t, size) in enumerate(zip(x, self.ins_components, strict=True)):
            rows = [m * count for m, count in zip(self.components, self.paths[n], strict=True)]
            if not sum(rows):
                continue
            a = (harmonics @ getattr(self, f"coupling{n}")).unflatten(-1, (-1, size))
            for o, part in enumerate(torch.split(attended(a, t, attention), rows, dim=2)):
                if rows[o]:
                    groups[o].append(part.reshape(*part.shape[:2], self.components[o], -1))
        return [joined(group, -1) for group in groups]


def attended(a: Tensor, t: Tensor, attention: Tensor) -> Tensor:
    """(N, H, rows, C) sums Σ_j a_ij A_ij t_ij, from (N, K, rows, M) matrices A, (N, K, M, C) t and
    (N, H, K) a.
    """
    n, heads, _ = attention.shape
    by_head = a.transpose(1, 2).unsqueeze(1) * attention.unsqueeze(2).unsqueeze(-1)
    rows = by_head.reshape(n, heads * a.shape[2], -1)
    return (rows @ t.flatten(1, 2)).reshape(n, heads, a.shape[2], t.shape[3])


def joined(parts: list[Tensor], dim: int) -> Tensor:
    """The concatenation of one tensor or more."""
    return torch.cat(parts, dim=dim) if len(parts) > 1 else parts[0]


def _parts(ins: list[Irrep], harmonics: list[Irrep], out: Irrep, o: int) -> list[Part]:
    """Parts of one output irrep, those whose coupling comes late behind the others."""
    early, late = [], []
    for i, left in enumerate(ins):
        partners = _partners(left, harmonics, out)
        if left[0] == 0 or left[0] < out[0]:
            late += [Part(i, o, [partner], True) for partner in partners]
        elif partners:
            early.append(Part(i, o, partners, False))
    return early + late


def _partners(i: Irrep, harmonics: list[Irrep], out: Irrep) -> list[Irrep]:
    return [b for b in harmonics if out in couplings(i, b)]


def _coupling(i: Irrep, partners: list[Irrep], harmonics: list[Irrep], out: Irrep) -> Tensor:
    """(harmonics' components, 2l_o+1, partners, 2l_i+1): from harmonics to A(Y)."""
    at = dict(zip(harmonics, slices(harmonics), strict=True))
    block = torch.zeros(
        width(harmonics), 2 * out[0] + 1, len(partners), 2 * i[0] + 1, dtype=torch.float64
    )
    for n, b in enumerate(partners):
        block[at[b], :, n] = coupling(i, b, out).permute(1, 2, 0)
    return block
