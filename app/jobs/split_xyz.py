"""Parts of XYZ: whole frames."""

from collections.abc import Iterator
from mmap import mmap

from app.errors import InvalidFormat
from app.formats import text
from app.formats.extxyz.reader import is_count
from app.jobs.parts import Item, PartLimits, Parts, joined, whole

BOM = b"\xef\xbb\xbf"
LONGEST_COUNT = 40
"""Bytes of a line that are looked at for a number of atoms."""


def split(data: mmap, limits: PartLimits) -> Parts:
    """The body in parts.

    Raises:
        InvalidFormat: it is no text of UTF-8, or its lines end in another way.
        StructureTooLarge: over a limit.
    """
    beginning = data[: limits.structure_bytes]
    if b"\n" not in beginning and b"\r" in beginning:
        raise InvalidFormat(r"lines end with \r alone; save the file with \n")
    parts = joined(_frames(_Lines(data), limits), limits)
    for part in parts:
        _check_text(data[part.start : part.stop], part.lines)
    return Parts(b"", parts) if parts else whole(len(data), limits)


class _Lines:
    """The lines of a text, one after the other.

    Attributes:
        start: first byte of the line.
        stop: the byte after its end.
        number: of the line, from 0.
    """

    def __init__(self, data: mmap) -> None:
        self._data = data
        self.start, self.stop, self.number = 0, 0, -1

    def next(self) -> bool:
        """Go to the next line; whether there is one."""
        if self.stop >= len(self._data):
            return False
        self.start, self.number = self.stop, self.number + 1
        end = self._data.find(b"\n", self.start)
        self.stop = len(self._data) if end < 0 else end + 1
        return True

    def beginning(self) -> str:
        """As much of the line as a number of atoms takes, without spaces around it."""
        shown = self._data[self.start : min(self.stop, self.start + LONGEST_COUNT)]
        return shown.removeprefix(BOM).decode("latin-1").strip()


def _frames(lines: _Lines, limits: PartLimits) -> Iterator[Item]:
    """Frames, each with what follows it and begins none.

    A line that is no number of atoms is the last one that is read: where a next frame begins,
    nobody knows.
    """
    start, first, count, stop = 0, 0, 0, 0
    while lines.next():
        word = lines.beginning()
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


def _check_text(data: bytes, lines: int) -> None:
    try:
        text.decode(data)
    except InvalidFormat as error:
        raise InvalidFormat(f"after line {lines}, {error}" if lines else str(error)) from None
