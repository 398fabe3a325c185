"""Read a file of any length, of which only a portion is in memory."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from app.formats.extxyz.reader import is_count, iter_frames
from app.formats.frame import Frame

PORTION = 250_000
"""Characters of the frames that are read together; a longer frame is read alone."""


def iter_portions(lines: Iterable[str], size: int = PORTION) -> Iterator[Frame]:
    """The frames as for `parse`, from lines that come one after the other.

    Args:
        lines: with their ends, as an open file has them.
        size: characters of a portion, at least.
    """
    first = before = 0
    for portion in _portions(lines, size):
        with np.errstate(over="ignore", invalid="ignore"):  # structures are refused
            frames = list(iter_frames("".join(portion), first, before))
        yield from frames
        first, before = first + len(frames), before + len(portion)


def _portions(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    """Lines of whole frames; those that begin no frame belong to the one before them."""
    portion: list[str] = []
    characters = 0
    for block in _blocks(iter(lines)):
        if characters >= size and is_count(block[0].strip()):
            yield portion
            portion, characters = [], 0
        portion += block
        characters += sum(map(len, block))
    if portion:
        yield portion


def _blocks(lines: Iterator[str]) -> Iterator[list[str]]:
    """Lines of one frame each, and blank lines alone.

    A line that is no number of atoms is the last one: where a next frame begins, nobody knows.
    """
    for line in lines:
        count = line.strip()
        if not count:
            yield [line]
        elif is_count(count):
            yield [line, *islice(lines, int(count) + 1)]
        else:
            yield [line]
            return
