"""Lines of a large text."""

from mmap import mmap

from app.errors import InvalidFormat
from app.formats import text

BOM = b"\xef\xbb\xbf"
BEGINNING = 100
"""Bytes of a line that are looked at for what it begins with."""


class Lines:
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

    def beginning(self, size: int = BEGINNING) -> bytes:
        """As much of the line as says what it is, without a byte order mark."""
        shown = self._data[self.start : min(self.stop, self.start + size)]
        return shown.removeprefix(BOM) if self.number == 0 else shown

    def is_blank(self) -> bool:
        """Whether nothing but space stands in it."""
        return not self.beginning().strip() and not self.whole().strip()

    def whole(self) -> bytes:
        """The line with its end."""
        return self._data[self.start : self.stop]


def check_ends(data: mmap, size: int) -> None:
    r"""Whether it is a text whose lines end with \n, as far as the beginning tells.

    Args:
        data: of a text.
        size: bytes of it that are looked at.

    Raises:
        InvalidFormat: they end with \r alone, or the text is UTF-16.
    """
    beginning = data[:size]
    text.decode(beginning[:2])
    if b"\n" not in beginning and b"\r" in beginning:
        raise InvalidFormat(r"lines end with \r alone; save the file with \n")
