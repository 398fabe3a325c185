"""Matrix products in less precision than the weights have, within training steps only."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Precision:
    """How exact the matrix products of a training step are.

    Weights, gradients, sums of the loss and optimiser states keep the run's `dtype`; so do
    evaluations, which are what decides which weights are kept.

    Args:
        name: `full`; `tf32`, the 10-bit mantissas of CUDA's tensor cores; or `bfloat16`, by
            autocast.
        device: of the run.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self.name, self.device = name, device

    @contextmanager
    def of_step(self) -> Iterator[None]:
        """Holds within a step, its backward pass included."""
        before = torch.backends.cuda.matmul.fp32_precision
        if self.name == "tf32":
            torch.backends.cuda.matmul.fp32_precision = "tf32"
        try:
            yield
        finally:
            torch.backends.cuda.matmul.fp32_precision = before

    def of_forward(self) -> torch.autocast:
        """Holds while energies and forces are computed; the backward pass takes each product's
        precision from there.
        """
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.name == "bfloat16")
