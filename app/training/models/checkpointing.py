"""Activation checkpointing for losses that hold forces.

Such a loss differentiates twice. Ordinary checkpointing saves little there: the forces come from a
backward pass whose graph is kept, and with it all that the pass has computed again. Here the
backward pass of a function is itself a function that keeps nothing but its inputs:

    y = f(x, θ)             forward pass; x is kept
    v = (∂f/∂x)ᵀ u          first backward pass, for the forces; x and u are kept, f is computed
                            again
    gradients of y and v    second backward pass, for the loss; f, v and f are computed again, each
                            dropped before the next function's

The largest graph that is ever held is that of one f and its v.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Function = Callable[[list[Tensor]], list[Tensor]]


def checkpointed(module: nn.Module, function: Function, inputs: Sequence[Tensor]) -> list[Tensor]:
    """function(inputs), twice differentiable, without keeping what it computes in between.

    Args:
        module: whose parameters the function reads. A backward pass whose graph is kept gives these
            no gradients: it is one for forces.
        function: finds the same random numbers whenever it is computed again.
        inputs: all other tensors that it reads and that gradients are wanted of.
    """
    recipe = _Recipe(function, len(inputs), [p for p in module.parameters() if p.requires_grad])
    return list(_Checkpoint.apply(recipe, *inputs, *recipe.parameters))  # type: ignore[no-untyped-call]


class _Recipe:
    """A function of `count` inputs and some parameters, and the state of the random numbers that it
    begins with.
    """

    def __init__(self, function: Function, count: int, parameters: list[nn.Parameter]) -> None:
        self.function, self.count, self.parameters = function, count, parameters
        self.devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
        self.random = torch.get_rng_state()
        self.random_cuda = [torch.cuda.get_rng_state(device) for device in self.devices]

    def again(self, inputs: list[Tensor]) -> list[Tensor]:
        """The same computation, with its graph."""
        with torch.random.fork_rng(devices=self.devices), torch.enable_grad():
            torch.set_rng_state(self.random)
            for device, state in zip(self.devices, self.random_cuda, strict=True):
                torch.cuda.set_rng_state(state, device)
            return self.function(inputs)

    def pullback(
        self,
        wanted: Sequence[bool],
        inputs: list[Tensor],
        cotangents: Sequence[Tensor],
        create_graph: bool,
    ) -> list[Tensor | None]:
        """Gradients of Σ u · y by those of the inputs and parameters that are wanted, else None."""
        outputs = self.again(inputs)
        variables = [*inputs, *self.parameters]
        sources = [t for t, want in zip(variables, wanted, strict=True) if want]
        pairs = [(y, u) for y, u in zip(outputs, cotangents, strict=True) if y.requires_grad]
        y, u = zip(*pairs, strict=True)
        gradients = iter(
            torch.autograd.grad(y, sources, u, create_graph=create_graph, allow_unused=True)
        )
        return [next(gradients) if want else None for want in wanted]


class _Checkpoint(torch.autograd.Function):
    """x, θ ↦ y."""

    @staticmethod
    def forward(ctx: Any, recipe: _Recipe, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.recipe = recipe
        inputs = tensors[: recipe.count]
        ctx.save_for_backward(*inputs)
        return tuple(recipe.function(list(inputs)))

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        recipe, inputs = ctx.recipe, ctx.saved_tensors
        by_parameters = not torch.is_grad_enabled()
        needed = ctx.needs_input_grad[1:]
        wanted = [need and (by_parameters or n < recipe.count) for n, need in enumerate(needed)]
        gradients = _Pullback.apply(recipe, wanted, *inputs, *recipe.parameters, *cotangents)  # type: ignore[no-untyped-call]
        return None, *gradients


class _Pullback(torch.autograd.Function):
    """x, θ, u ↦ (∂f/∂x)ᵀ u, (∂f/∂θ)ᵀ u."""

    @staticmethod
    def forward(
        ctx: Any, recipe: _Recipe, wanted: list[bool], *tensors: Tensor
    ) -> tuple[Tensor | None, ...]:
        inputs, cotangents = tensors[: recipe.count], tensors[len(wanted) :]
        ctx.recipe, ctx.wanted = recipe, wanted
        ctx.save_for_backward(*inputs, *cotangents)
        ctx.set_materialize_grads(False)
        return tuple(recipe.pullback(wanted, _leaves(inputs), cotangents, create_graph=False))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        recipe, wanted = ctx.recipe, ctx.wanted
        inputs, u = (
            _leaves(ctx.saved_tensors[: recipe.count]),
            _leaves(ctx.saved_tensors[recipe.count :]),
        )
        v = recipe.pullback(wanted, inputs, u, create_graph=True)
        pairs = [
            (a, t) for a, t in zip(v, cotangents, strict=True) if a is not None and t is not None
        ]
        outputs, gradients = zip(*pairs, strict=True)
        needed = ctx.needs_input_grad[2:]
        variables = [*inputs, *recipe.parameters, *u]
        sources = [t for t, need in zip(variables, needed, strict=True) if need]
        slopes = iter(torch.autograd.grad(outputs, sources, gradients, allow_unused=True))
        return None, None, *(next(slopes) if need else None for need in needed)


def _leaves(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The same values, cut off from what they were computed from."""
    return [t.detach().requires_grad_(t.is_floating_point()) for t in tensors]
