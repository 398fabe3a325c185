"""Learning rate over a run."""

import math

from app.training.runs.config import ScheduleConfig


class LearningRate:
    """Learning rate as a function of steps, share of the run, and (for plateau) of the validation
    losses.

    Attributes:
        level: what a plateau schedule has come down to, from 1.
        bad: evaluations since the last better validation loss.
        best: the best validation loss so far.
    """

    def __init__(self, config: ScheduleConfig, lr: float) -> None:
        self.config = config
        self.lr = lr
        self.level = 1.0
        self.bad = 0
        self.best = math.inf

    def at(self, step: int, progress: float) -> float:
        """The rate of a step (counted from 0) at a share of the run's epochs, from 0 to 1."""
        warm = min(1.0, (step + 1) / (self.config.warmup_steps + 1))
        return self.lr * warm * self._factor(min(progress, 1.0))

    def _factor(self, progress: float) -> float:
        final = self.config.final
        if self.config.kind == "cosine":
            return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
        if self.config.kind == "exponential":
            return float(final**progress)
        return self.level

    def evaluated(self, loss: float) -> None:
        """Take a validation loss into account."""
        if loss < self.best:
            self.best, self.bad = loss, 0
            return
        self.bad += 1
        if self.config.kind == "plateau" and self.bad >= self.config.patience:
            self.level, self.bad = max(self.level * self.config.factor, self.config.final), 0

    def state(self) -> dict[str, float]:
        """What `load` takes."""
        return {"level": self.level, "bad": self.bad, "best": self.best}

    def load(self, state: dict[str, float]) -> None:
        """Go on from a saved state."""
        self.level, self.bad, self.best = state["level"], int(state["bad"]), state["best"]
