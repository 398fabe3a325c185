"""What an export shows while it runs: the step under way on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from typing import TextIO

from app.training.export.steps import Steps, Taken

TICK = 0.5
"""Seconds after which the time of a step is shown anew."""


class ShownSteps(Steps):
    """Shows each step with its number and its time.

    On a terminal `3/7 simplifying the graph … 4.1 s`, which counts on; elsewhere a line as a step
    begins, with the seconds since the start before it.

    Args:
        stream: where to write; standard error by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._start = time.perf_counter()

    def began(self, what: str) -> None:
        """See `Steps`."""
        line = f"{self.number} {what}"
        if not self._is_terminal:
            self.say(line)
            return
        self._line, self._over = line, threading.Event()
        self._counting = threading.Thread(target=self._count, daemon=True)
        self._counting.start()

    def ended(self, what: str, seconds: float) -> None:
        """See `Steps`."""
        if self._is_terminal:
            self._over.set()
            self._counting.join()
            self._write(f"\r{self._line} … {seconds:.1f} s\n")

    def say(self, text: str) -> None:
        """See `Steps`."""
        self._write(f"{time.perf_counter() - self._start:6.1f} s  {text}\n")

    def _count(self) -> None:
        """Show how long the step has taken, until it is over."""
        began = time.perf_counter()
        while True:
            self._write(f"\r{self._line} … {time.perf_counter() - began:.1f} s")
            if self._over.wait(TICK):
                return

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def table(taken: list[Taken]) -> str:
    """The seconds of each step, and of all."""
    rows = [*taken, Taken("all", sum(step.seconds for step in taken))]
    width = max(len(step.what) for step in rows)
    lines = (f"  {step.what:{width}} {step.seconds:7.1f}" for step in rows)
    return "\n".join(["seconds:", *lines])
