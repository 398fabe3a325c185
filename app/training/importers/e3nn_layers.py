"""Weights of e3nn's layers as the matrices that our layers have, with their normalisations in them."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from e3nn import o3
from e3nn.math import normalize2mom
from torch import Tensor

from app.atoms.irreps import Irrep
from app.training.models.convolution import Product
from app.training.models.equivariant import SCALAR

Key = TypeVar("Key")
Matrices = dict[Irrep, Tensor]
SILU = normalize2mom(torch.nn.functional.silu).cst
TANH = normalize2mom(torch.tanh).cst
"""What e3nn multiplies activations with."""


def linear(irreps_in: o3.Irreps, irreps_out: o3.Irreps, weight: Tensor) -> Matrices:
    """(in, out) of each irrep that both have, from the flat weight of an `o3.Linear`."""
    layer = o3.Linear(irreps_in, irreps_out, internal_weights=False, shared_weights=True)
    matrices = _zeros(irreps_in, irreps_out)
    for _, ins, part in layer.weight_views(weight.flatten(), yield_instruction=True):
        _put(matrices, irreps_in, irreps_out, ins.i_in, ins.i_out, part * ins.path_weight)
    return matrices


def linear_size(irreps_in: o3.Irreps, irreps_out: o3.Irreps) -> int:
    """Numbers in the weight of an `o3.Linear`."""
    return int(
        o3.Linear(irreps_in, irreps_out, internal_weights=False, shared_weights=True).weight_numel
    )


def by_species(
    irreps_in: o3.Irreps, attributes: Tensor, irreps_out: o3.Irreps, weight: Tensor
) -> Matrices:
    """(S, in, out) of each irrep, from the weight of an `o3.FullyConnectedTensorProduct`.

    Args:
        irreps_in: of the features.
        attributes: (S, A) scalars of each element, the product's second input.
        irreps_out: of the product.
        weight: flat.
    """
    count, width = attributes.shape
    product = o3.FullyConnectedTensorProduct(
        irreps_in, o3.Irreps(f"{width}x0e"), irreps_out, internal_weights=False, shared_weights=True
    )
    matrices = _zeros(irreps_in, irreps_out, count)
    for _, ins, part in product.weight_views(weight.flatten(), yield_instruction=True):
        factor = ins.path_weight / (2 * irreps_in[ins.i_in1].ir.l + 1) ** 0.5
        mixed = torch.einsum("sa,iao->sio", attributes, part) * factor
        _put(matrices, irreps_in, irreps_out, ins.i_in1, ins.i_out, mixed)
    return matrices


def product_size(irreps_in: o3.Irreps, width: int, irreps_out: o3.Irreps) -> int:
    """Numbers in the weight of an `o3.FullyConnectedTensorProduct` with scalars."""
    return int(
        o3.FullyConnectedTensorProduct(
            irreps_in,
            o3.Irreps(f"{width}x0e"),
            irreps_out,
            internal_weights=False,
            shared_weights=True,
        ).weight_numel
    )


def uvu_products(
    irreps_in: o3.Irreps, harmonics: o3.Irreps, wanted: o3.Irreps
) -> tuple[list[Product], list[Product]]:
    """The products of a 'uvu' tensor product as NequIP's packages list them, and sorted by their
    results, which is the order of their channels.
    """
    listed = [
        Product((a.ir.l, a.ir.p), (b.ir.l, b.ir.p), (out.l, out.p))
        for a in irreps_in
        for b in harmonics
        for out in a.ir * b.ir
        if out in wanted
    ]
    outs = o3.Irreps([(1, product.out) for product in listed])
    order = outs.sort().inv
    return listed, [listed[i] for i in order]


def in_order(
    tensor: Tensor, have: Sequence[Key], want: Sequence[Key], sizes: Mapping[Key, int], dim: int
) -> Tensor:
    """The blocks of a tensor that belong to some keys, in another order; those not wanted go."""
    blocks = torch.split(tensor, [sizes[key] for key in have], dim=dim)
    by_key = dict(zip(have, blocks, strict=True))
    return torch.cat([by_key[key] for key in want], dim=dim)


def gates_in_order(
    matrices: Matrices, have: Sequence[Irrep], channels: dict[Irrep, int]
) -> Matrices:
    """Matrices to what a gate takes, the gates among the even scalars in our order.

    Args:
        matrices: (..., in, out).
        have: irreps of the features in the order of their package.
        channels: of the features, in our order.
    """
    tensors = [SCALAR, *(irrep for irrep in have if irrep[0])]
    wanted = [SCALAR, *(irrep for irrep in channels if irrep[0])]
    scalars = in_order(matrices[SCALAR], tensors, wanted, channels, -1)
    return {**matrices, SCALAR: scalars}


def gate_irreps(channels: dict[Irrep, int]) -> o3.Irreps:
    """What an e3nn `Gate` takes for features with these channels, all gates even."""
    gates = sum(c for (l, _), c in channels.items() if l)
    wide = {**channels, SCALAR: channels[SCALAR] + gates}
    return o3.Irreps([(c, irrep) for irrep, c in wide.items()]).sort().irreps.simplify()


def irreps_of(channels: dict[Irrep, int]) -> o3.Irreps:
    """Channels as e3nn's irreps, in its order."""
    return o3.Irreps([(c, irrep) for irrep, c in channels.items()]).sort().irreps.simplify()


def gate_gains(channels: dict[Irrep, int]) -> dict[Irrep, float]:
    """By what e3nn's gate multiplies each irrep, which ours does not: SiLU's constant, or tanh's."""
    return {irrep: TANH if irrep == (0, -1) else SILU for irrep in channels}


def _zeros(irreps_in: o3.Irreps, irreps_out: o3.Irreps, *sets: int) -> Matrices:
    widths_in, widths_out = _widths(irreps_in), _widths(irreps_out)
    return {
        irrep: torch.zeros(*sets, c, widths_out[irrep], dtype=torch.float64)
        for irrep, c in widths_in.items()
        if irrep in widths_out
    }


def _widths(irreps: o3.Irreps) -> dict[Irrep, int]:
    widths: dict[Irrep, int] = {}
    for mul, ir in irreps:
        widths[ir.l, ir.p] = widths.get((ir.l, ir.p), 0) + mul
    return widths


def _put(
    matrices: Matrices, irreps_in: o3.Irreps, irreps_out: o3.Irreps, i: int, o: int, part: Tensor
) -> None:
    ir = irreps_in[i].ir
    rows, columns = _start(irreps_in, i), _start(irreps_out, o)
    target = matrices[ir.l, ir.p]
    target[..., rows : rows + irreps_in[i].mul, columns : columns + irreps_out[o].mul] += part


def _start(irreps: o3.Irreps, index: int) -> int:
    """Channels of the same irrep before this one."""
    return sum(mul for mul, ir in irreps[:index] if ir == irreps[index].ir)
