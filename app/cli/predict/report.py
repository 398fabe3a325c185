"""What a run says on standard error: one line for each refusal and warning, how far it is, and a
summary.
"""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from app.cli.predict.flight import Finished
from app.protocol.response import Answered
from app.protocol.tally import Outcome, Tally, counted

WIDTH = 24
"""Characters of the bar."""
CLEAR = "\r\033[K"


class Report:
    """Tells of the results as they come; on a terminal, a bar below them says how far it is.

    Args:
        tally: of results that are there already.
        share: of the input that they are from.
        stream: where to; standard error.
        clock: seconds.
        command: that is run.

    Attributes:
        tally: of all results.
    """

    def __init__(
        self,
        tally: Tally,
        share: float = 0.0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        command: str = "predict",
    ) -> None:
        self._prefix = f"equipot {command}: "
        self.tally = tally
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._clock, self._began = clock, clock()
        self._first = tally.structures, share
        self._share = share

    def add(self, finished: Finished) -> None:
        """Count a result, and tell what is wrong or doubtful about it."""
        number, (read, result) = self.tally.structures, finished
        self.tally.add(Outcome.of(result))
        self._share = read.share
        name = f"structure {number}" + (f" ({read.entry.id})" if read.entry.id else "")
        if not isinstance(result, Answered):
            self.say(f"{name}: {result}")
            return
        for warning in result.warnings:
            self.say(f"{name}: warning {warning.code}: {warning.message}")

    def advance(self, tally: Tally, share: float) -> None:
        """Count many results at once, of which nothing is told one by one.

        Args:
            tally: of them.
            share: of the input that has been answered with them.
        """
        self.tally.merge(tally)
        self._share = share

    def say(self, line: str) -> None:
        """A line that stays."""
        clear = CLEAR if self._terminal else ""
        print(f"{clear}{self._prefix}{line}", file=self._stream, flush=True)

    def show(self, under_way: int) -> None:
        """Draw the bar, on a terminal."""
        if self._terminal:
            print(CLEAR + self.bar(under_way), end="", file=self._stream, flush=True)

    def bar(self, under_way: int) -> str:
        """How far it is: share of the input, structures, structures a second, and time left."""
        elapsed = self._clock() - self._began
        parts = [f"{counted(self.tally.structures, 'structure')}, {under_way} under way"]
        if self._new:
            parts.append(f"{self._rate(elapsed)} a second")
        text = ", ".join(parts)
        if not self._share:
            return text
        if gained := self._share - self._first[1]:
            text += f", {duration(elapsed * (1.0 - self._share) / gained)} left"
        return drawn(self._share, text)

    def summarize(self, model: str) -> None:
        """Say what became of all structures, and how fast."""
        elapsed = self._clock() - self._began
        first, *others = self.tally.lines()
        self.say(f"{first} with {model}")
        for line in others:
            self.say(f"  {line}")
        before = f", {self._first[0]} were there before" if self._first[0] else ""
        self.say(f"  {self._rate(elapsed)} structures a second, {duration(elapsed)}{before}")

    @property
    def _new(self) -> int:
        return self.tally.structures - self._first[0]

    def _rate(self, elapsed: float) -> str:
        return f"{self._new / max(elapsed, 1e-3):.3g}"


def drawn(share: float, text: str) -> str:
    """A bar that is filled to a share, from 0 to 1, with words beside it."""
    filled = round(WIDTH * share)
    return f"[{'#' * filled:-<{WIDTH}}] {100 * share:3.0f} %  {text}"


def duration(seconds: float) -> str:
    """`0.5 s`, `12 s`, `3:07` (minutes) or `2:03:07` (hours)."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
