"""The parser of the command line: errors in one line, and numbers below 0 as values."""

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn

NEGATIVE = re.compile(r"-\.?\d[\d.,eE+-]*$")
"""What is a number below 0, or begins a list of numbers, and no option."""
WORDS = {int: "whole number", float: "number"}


class Parser(argparse.ArgumentParser):
    """A parser, of sub-commands as well, that does not print all options before an error."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._negative_number_matcher = NEGATIVE

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where it is told what would be right."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class Joined(argparse.Action):
    """Takes lists of values as one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Join them."""
        setattr(namespace, self.dest, [value for part in values for value in part])


def numbers_of(kind: type[int] | type[float]) -> Callable[[str], list[float]]:
    """What reads one number, or several that are separated by commas.

    Raises:
        argparse.ArgumentTypeError: one is none.
    """

    def numbers(text: str) -> list[float]:
        try:
            return [kind(each) for each in text.removesuffix(",").split(",")]
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"'{text}' is no {WORDS[kind]}, and no several, as in 0,1"
            ) from None

    return numbers
