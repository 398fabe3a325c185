"""Items of XYZ: whole frames."""

from collections.abc import Iterator
from mmap import mmap

from app.formats.extxyz.reader import is_count
from app.jobs.parts import Item, PartLimits
from app.jobs.split.lines import Lines

LONGEST_COUNT = 40
"""Bytes of a line that are looked at for a number of atoms."""


def items(data: mmap, limits: PartLimits) -> Iterator[Item]:
    """Frames, each with what follows it and begins none.

    A line that is no number of atoms is the last one that is read: where a next frame begins,
    nobody knows.

    Raises:
        StructureTooLarge: a frame is over the limit.
    """
    lines = Lines(data)
    start, first, count, stop = 0, 0, 0, 0
    while lines.next():
        word = lines.beginning()[:LONGEST_COUNT].decode("latin-1").strip()
        if not word:
            continue
        is_frame = is_count(word)
        if stop and is_frame:
            yield Item(start, stop, first)
            count += 1
        if is_frame or not stop:
            start, first = lines.start, lines.number
        if not is_frame:
            yield Item(start, lines.stop, first)
            return
        for _ in range(int(word) + 1):
            if not lines.next():
                break
            limits.check_size(count, lines.stop - start)
        stop = lines.stop
    if stop:
        yield Item(start, stop, first)
