"""What a run shows while it trains: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

if TYPE_CHECKING:
    from app.training.loop.progress import Progress

LINE_EVERY = 30.0
"""Seconds between plain lines."""


class Quiet:
    """Shows nothing, and can be interrupted: what all but the first process of a run have."""

    def __init__(self) -> None:
        self.interrupted = False

    def began(self, run: str) -> None:
        """Start anew, for a member of a committee."""

    def stepped(self, progress: "Progress", losses: list[float], steps_per_epoch: int) -> None:
        """Show a step."""

    def evaluated(self, line: Mapping[str, float]) -> None:
        """Show an evaluation."""

    def say(self, text: str) -> None:
        """Show something that the user should know."""

    def close(self) -> None:
        """Leave the terminal as it should be."""

    def interrupt(self, *_: object) -> None:
        """Ask for an end after the step in hand; a handler of signals. Asked twice, end at once.

        Raises:
            KeyboardInterrupt: the second time.
        """
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True


class Display(Quiet):
    """Shows steps, throughput, losses and the time left.

    Args:
        epochs: of the whole run.
        stream: where to write; standard error by default.
    """

    def __init__(self, epochs: int, stream: TextIO | None = None) -> None:
        super().__init__()
        self.epochs = epochs
        self.stream = stream or sys.stderr
        self.bar: tqdm[Any] | None = None
        self.first: tuple[int, float] | None = None
        self.last_line = 0.0

    def began(self, run: str) -> None:
        """Start anew, for a member of a committee."""
        self.close()
        self.bar, self.first, self.last_line = None, None, 0.0
        self._line(run)

    def stepped(self, progress: "Progress", losses: list[float], steps_per_epoch: int) -> None:
        """Show a step."""
        now = time.monotonic()
        if self.first is None:
            self.first = (progress.step - 1, now)
            if self.stream.isatty():
                total = self.epochs * steps_per_epoch
                self.bar = tqdm(
                    total=total, initial=progress.step - 1, file=self.stream, unit="step"
                )
        mean = [part / progress.sums[-1] for part in progress.sums[:3]]
        text = f"epoch {progress.epoch}/{self.epochs} loss {mean[0]:.4g} energy {mean[1]:.4g} forces {mean[2]:.4g}"
        if self.bar is not None:
            self.bar.update()
            self.bar.set_postfix_str(text, refresh=False)
        elif now - self.last_line > LINE_EVERY:
            self.last_line = now
            self._line(f"step {progress.step} {text}{self._pace(progress, now, steps_per_epoch)}")

    def evaluated(self, line: Mapping[str, float]) -> None:
        """Show an evaluation."""
        self.say(
            f"step {line['step']:.0f}, epoch {line['epoch']:.0f}, {line['seconds'] / 60:.1f} min: "
            f"train loss {line['train_total']:.4g}, validation loss {line['validation_loss']:.4g}, "
            f"MAE {line['energy_per_atom_mae']:.2f} meV/atom, {line['forces_mae']:.1f} meV/Å, lr {line['lr']:.2g}"
        )

    def say(self, text: str) -> None:
        """Show a line above the bar."""
        if self.bar is not None:
            self.bar.write(text, file=self.stream)
        else:
            self._line(text)

    def close(self) -> None:
        """Leave the terminal as it should be."""
        if self.bar is not None:
            self.bar.close()

    def _pace(self, progress: "Progress", now: float, steps_per_epoch: int) -> str:
        assert self.first is not None
        step, since = self.first
        if progress.step - step < 2:
            return ""
        pace = (progress.step - step - 1) / max(now - since, 1e-9)
        left = (self.epochs * steps_per_epoch - progress.step) / pace
        return f", {pace:.2f} steps/s, {left / 60:.0f} min left"

    def _line(self, text: str) -> None:
        print(text, file=self.stream, flush=True)
