"""What an export shows of its steps."""

import io
import re

import pytest

from app.cli.steps import ShownSteps, table
from app.training.export.steps import Taken


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_line_for_each_step_that_counts_on() -> None:
    stream = Terminal()
    steps = ShownSteps(stream)
    steps.expect(2)
    with steps.step("reading"):
        assert stream.getvalue().startswith("\r1/2 reading … 0.0 s")
    with steps.step("writing"):
        pass
    lines = [line for line in stream.getvalue().split("\n") if line]
    assert len(lines) == 2
    assert re.fullmatch(r"1/2 reading … \d+\.\d s", lines[0].rpartition("\r")[2])
    assert re.fullmatch(r"2/2 writing … \d+\.\d s", lines[1].rpartition("\r")[2])
    assert [step.what for step in steps.taken] == ["reading", "writing"]


def test_elsewhere_a_line_says_which_step_begins() -> None:
    stream = io.StringIO()
    steps = ShownSteps(stream)
    steps.expect(1)
    with steps.step("reading"):
        assert re.fullmatch(r" +\d+\.\d s  1/1 reading\n", stream.getvalue())
    steps.expect(2)  # more than was known
    with steps.step("comparing"):
        pass
    assert stream.getvalue().splitlines()[1].endswith(" s  2/3 comparing")


def test_a_step_that_fails_ends_its_line_and_does_not_count() -> None:
    stream = Terminal()
    steps = ShownSteps(stream)
    with pytest.raises(ValueError, match="wrong"), steps.step("reading"):
        raise ValueError("wrong")
    assert stream.getvalue().endswith(" s\n")
    assert steps.taken == []


def test_the_seconds_of_each_step_and_of_all_are_told() -> None:
    told = table([Taken("reading", 1.25), Taken("writing it", 10.0)])
    assert [line.split() for line in told.splitlines()] == [
        ["seconds:"],
        ["reading", "1.2"],
        ["writing", "it", "10.0"],
        ["all", "11.2"],
    ]
