"""How far a training run is, and who looks on."""

import math
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: optimiser steps taken.
        epoch: epochs completed.
        batch: batches taken of the epoch in hand.
        seconds: wall time, those before a resume included.
        cpu_seconds: processor time of this process, likewise.
        lines: evaluations made.
        sums: sums of the training losses since the last evaluation, and their number.
        best_loss: the best validation loss.
        best_step: the step at which it was found.
        since_best: evaluations since then.
        best: the averaged weights then.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    lines: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * 5)
    best_loss: float = math.inf
    best_step: int = 0
    since_best: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


class Watch(Protocol):
    """Who looks on while a model trains.

    Attributes:
        interrupted: True ends the training after the step in hand.
    """

    interrupted: bool

    def began(self, run: str) -> None:
        """Before the first step of a member of a committee, with the name of its folder."""

    def stepped(self, progress: Progress, losses: list[float], steps_per_epoch: int) -> None:
        """After each step."""

    def evaluated(self, line: dict[str, float]) -> None:
        """After each evaluation, with its line of metrics."""

    def say(self, text: str) -> None:
        """Something that the user should know."""
