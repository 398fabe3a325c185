"""Exponential moving average of a model's weights: what is evaluated, kept and exported."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from app.training.models.network import Network


class Average:
    """Moving average of a model's parameters.

    After step t, average ← d·average + (1 − d)·weights with d = min(decay, (1 + t) / (10 + t)), so
    that the random start is soon forgotten.

    Args:
        model: whose parameters are averaged.
        decay: 0 follows the weights themselves.
    """

    def __init__(self, model: Network, decay: float) -> None:
        self.decay = decay
        self.parameters = [p.detach() for p in model.parameters()]
        self.values = [p.clone() for p in self.parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after a step (counted from 1) into the average."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, self.parameters, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged weights inside the block, and its own again after it."""
        own = [p.clone() for p in self.parameters]
        self._write(self.values)
        try:
            yield
        finally:
            self._write(own)

    def load(self, values: list[Tensor]) -> None:
        """Go on from saved values, shaped like the parameters."""
        torch._foreach_copy_(self.values, values)

    @torch.no_grad()
    def _write(self, values: list[Tensor]) -> None:
        torch._foreach_copy_(self.parameters, values)
