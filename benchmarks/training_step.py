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
    """A model in training, on some batches that are ready.

    Attributes:
        parameters: what is trained.
        batches: their number.
    """

    parameters: Sequence[Tensor]
    batches: int

    def __call__(self, batch: int) -> None:
        """Forward, backward and optimiser on one batch: an Adam step on MSE(energy per atom) +
        MSE(forces).
        """

    def force_loss(self, batch: int) -> Tensor:
        """The forces' part of the loss alone."""


def arguments() -> argparse.Namespace:
    """The command line that `benchmarks.training` gives."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="labelled frames, extXYZ")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--mode", required=True)
    parser.add_argument("--threads", type=int, default=1)
    add_sizes(parser)
    return parser.parse_args()


def run(make: Callable[[argparse.Namespace], Step]) -> None:
    """Build a step and check it; then time it whenever the standard input asks, and say how much
    memory it took.
    """
    options, answers = arguments(), claim_output()
    torch.set_num_threads(options.threads)
    step = make(options)
    before = peak_mb()
    description = {
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in step.parameters),
        "before_mb": before,
    }
    step(0)
    description["second_derivative_error"] = second_derivative_error(step)
    turn = itertools.cycle(range(step.batches))

    def answer(repeats: int) -> dict[str, Any]:
        return {"ms": median_ms(lambda: step(next(turn)), repeats), "peak_mb": peak_mb()}

    serve(answers, description, answer)


def peak_mb() -> float:
    """Most memory that this process ever had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def second_derivative_error(step: Step, size: float = 1e-3) -> float:
    """Relative deviation of the slope of the forces' loss along its gradient from a finite
    difference.

    It is small only if the forces are differentiated by the parameters, and rightly so.
    """
    gradients = torch.autograd.grad(step.force_loss(0), list(step.parameters), allow_unused=True)
    pairs = [(p, g) for p, g in zip(step.parameters, gradients, strict=True) if g is not None]
    norm = float(torch.sqrt(sum((g * g).sum() for _, g in pairs)))
    losses = []
    for sign in (1, -2):
        with torch.no_grad():
            for parameter, gradient in pairs:
                parameter.add_(gradient, alpha=sign * size / norm)
        losses.append(float(step.force_loss(0).detach()))
    with torch.no_grad():
        for parameter, gradient in pairs:
            parameter.add_(gradient, alpha=size / norm)
    return abs((losses[0] - losses[1]) / (2 * size) / norm - 1)
