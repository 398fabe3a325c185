"""What is said on standard error, on a terminal and elsewhere."""

import io
from collections import Counter

import pytest

from app.cli.predict.entries import Read
from app.cli.predict.flight import Finished
from app.cli.predict.report import CLEAR, Report
from app.errors import UnsupportedElement
from app.protocol.request import Entry
from app.protocol.tally import Outcome, Tally

REFUSAL = UnsupportedElement("atom 0 is Xe")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def finished(share: float, name: str | None = None) -> Finished:
    return Finished(Read(Entry(name, REFUSAL), share), REFUSAL)


def test_rate_and_time_left() -> None:
    clock = Clock()
    report = Report(Tally(), clock=clock)
    assert report.bar(7) == "0 structures, 7 under way"
    clock.seconds += 30
    for number in range(60):
        report.add(finished((number + 1) / 240))
    bar = "[######------------------]  25 %"
    assert report.bar(3) == f"{bar}  60 structures, 3 under way, 2 a second, 1:30 left"


def test_what_was_there_before_counts_for_no_rate() -> None:
    clock = Clock()
    report = Report(Tally(structures=50, refused=Counter(a=1)), 0.5, clock=clock)
    clock.seconds += 10
    report.add(finished(0.75))
    assert report.bar(0).endswith("51 structures, 0 under way, 0.1 a second, 10 s left")


@pytest.mark.parametrize(("stream", "clear"), [(Terminal(), CLEAR), (io.StringIO(), "")])
def test_lines_stay_and_only_a_terminal_has_a_bar(stream: io.StringIO, clear: str) -> None:
    report = Report(Tally(), stream=stream)
    report.add(finished(1.0, "xenon"))
    report.show(0)
    first, _, rest = stream.getvalue().partition("\n")
    assert first == f"{clear}equipot predict: structure 0 (xenon): atom 0 is Xe"
    assert bool(rest) == bool(clear)


def test_the_summary_has_no_line_without_a_number() -> None:
    assert list(Tally(structures=1).lines()) == ["1 of 1 structure answered"]
    tally = Tally()
    for outcome in (
        Outcome(warnings=("flat_sketch", "hydrogens_missing"), relaxed="converged"),
        Outcome(warnings=("flat_sketch",), relaxed="exploded"),
        Outcome(refused="invalid_structure"),
    ):
        tally.add(outcome)
    assert list(tally.lines()) == [
        "2 of 3 structures answered",
        "refused: invalid_structure 1",
        "warnings: flat_sketch 2, hydrogens_missing 1",
        "relaxations: 1 converged, 1 did not (exploded 1)",
    ]
