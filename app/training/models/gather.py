"""Neighbours' features in the dense edge layout, differentiable any number of times without a
scatter.

The stock gradient of a gather adds into the gathered rows, which scatters. In slots, the edges that
read an atom are the reverses of the edges that it owns, so that the gradient is a gather too,
followed by a sum over the slots. The two operators are each other's adjoint, and either's
derivative is the other one.
"""

from typing import Any

import torch
from torch import Tensor


def gather(x: Tensor, neighbors: Tensor, reverse: Tensor, mask: Tensor) -> Tensor:
    """(N, K, F) features of each slot's neighbour, from the (N, F) features of the atoms.

    Args:
        x: (N, F) features.
        neighbors: (N, K) atom index of each neighbour.
        reverse: (N, K) flat slot of each reverse edge.
        mask: (N, 1, K) one where the slot holds an edge, else zero, in the dtype of the features.

    What is computed from a padded slot must not reach the result: its gradient is taken as zero.
    """
    out: Tensor = _Gather.apply(x, neighbors, reverse, mask)  # type: ignore[no-untyped-call]
    return out


class _Gather(torch.autograd.Function):
    """x_i ↦ x_j at the slot of each edge ij."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, neighbors: Tensor, reverse: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(neighbors, reverse, mask)
        return x.index_select(0, neighbors.flatten()).reshape(*neighbors.shape, x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        collected: Tensor = _Collect.apply(gradients[0], *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return collected, None, None, None


class _Collect(torch.autograd.Function):
    """y_ij ↦ Σ_j y_ji: what the slots that read an atom hold, summed."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, neighbors: Tensor, reverse: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(neighbors, reverse, mask)
        back = (
            y.flatten(0, 1).index_select(0, reverse.flatten()).reshape(*reverse.shape, y.shape[2])
        )
        return (mask @ back).squeeze(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        neighbors, reverse, mask = ctx.saved_tensors
        read = gather(gradients[0], neighbors, reverse, mask)
        return read * mask.transpose(1, 2), None, None, None
