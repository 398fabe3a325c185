"""One training step to be timed, and the process that times it: the same code for our model and for
a peer.
"""

import argparse
import itertools
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmarks.sizes import add_sizes
from benchmarks.timing import median_ms
from benchmarks.worker import claim_output, serve


class Step(Protocol):
    """A model in training, on so many batches that are ready."""

    parameters: Sequence[Tensor]
    batches: int

    def __call__(self, batch: int) -> None:
        """An Adam step on MSE(energy per atom) + MSE(forces) of one batch."""

    def force_loss(self, batch: int) -> Tensor:
        """The forces' part of the loss alone."""


def run(make: Callable[[argparse.Namespace], Step]) -> None:
    """Build a step and check it; then time it when asked, and say how much memory it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="labelled frames, extXYZ")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--mode", required=True)
    add_sizes(parser)
    options, answers = parser.parse_args(), claim_output()
    torch.set_num_threads(options.threads)
    step = make(options)
    before = peak_mb(options.device)
    description = {
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in step.parameters),
        "before_mb": before,
    }
    step(0)
    description["second_derivative_error"] = second_derivative_error(step)
    turn = itertools.cycle(range(step.batches))

    def answer(repeats: int) -> dict[str, Any]:
        def call() -> None:
            step(next(turn))
            waited(options.device)

        return {"ms": median_ms(call, repeats), "peak_mb": peak_mb(options.device)}

    serve(answers, description, answer)


def waited(device: str) -> None:
    """Return once a device has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def peak_mb(device: str) -> float:
    """Most memory that torch ever took on a GPU, or this process on the CPU, MB."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def second_derivative_error(step: Step, size: float = 1e-3) -> float:
    """Relative deviation of the slope of the forces' loss along its gradient from a difference.

    It is small only if the forces are differentiated by the parameters, and rightly so.
    """
    gradients = torch.autograd.grad(step.force_loss(0), list(step.parameters), allow_unused=True)
    pairs = [(p, g) for p, g in zip(step.parameters, gradients, strict=True) if g is not None]
    norm = float(torch.sqrt(sum((g * g).sum() for _, g in pairs)))
    losses = []
    for change in (size, -2 * size, size):
        with torch.no_grad():
            for parameter, gradient in pairs:
                parameter.add_(gradient, alpha=change / norm)
        losses.append(float(step.force_loss(0).detach()))
    return abs((losses[0] - losses[1]) / (2 * size) / norm - 1)
