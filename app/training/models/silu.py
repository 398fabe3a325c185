"""SiLU, x ↦ x σ(x), whose second derivative is a few passes over memory.

Differentiating torch's own twice takes apart its gradient, in some twenty passes. Here the gradient
is one operator, and so is the part of its derivative by what comes from above; the other part is

    σ (1 − σ) (2 + x (1 − 2 σ)),  σ = σ(x).
"""

from typing import Any

import torch
from torch import Tensor, nn

aten = torch.ops.aten


def silu(x: Tensor) -> Tensor:
    """SiLU of a tensor of any shape."""
    out: Tensor = _Silu.apply(x)  # type: ignore[no-untyped-call]
    return out


class SiLU(nn.Module):
    """The same as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return silu(x)


class _Silu(torch.autograd.Function):
    """x ↦ x σ(x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return nn.functional.silu(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        out: Tensor = _Slope.apply(gradients[0], *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return out


class _Slope(torch.autograd.Function):
    """(g, x) ↦ g silu'(x)."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(gradient, x)
        out: Tensor = aten.silu_backward(gradient, x)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        gradient, x = ctx.saved_tensors
        sigmoid = torch.sigmoid(x)
        bend = torch.rsub(sigmoid, 1, alpha=2).mul_(x).add_(2).mul_(gradient).mul_(gradients[0])
        return aten.silu_backward(gradients[0], x), aten.sigmoid_backward(bend, sigmoid)
