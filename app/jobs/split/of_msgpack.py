"""Parts of a MessagePack body: elements of its `structures`.

Format: github.com/msgpack/msgpack/blob/master/spec.md.
"""

import re
import struct
from collections.abc import Iterator
from mmap import mmap

from app.errors import InvalidFormat, InvalidRequest
from app.jobs.parts import MOST_PREFIX, Item, Part, PartLimits, Parts, joined, whole
from app.protocol.counts import CONTAINERS, EXTENSIONS, LENGTHS, MAPS, SIZES

KEY = b"\xaastructures"
LONGEST_KEY = 256
"""Bytes of a key of the body that are looked at."""
WINDOW = 65_536
RUNS = {
    0x93: (28, re.compile(rb"(?:\x93(?:\xcb.{8}){3})++", re.DOTALL)),
    0xCB: (9, re.compile(rb"(?:\xcb.{8})++", re.DOTALL)),
    0xA1: (2, re.compile(rb"(?:\xa1.)++", re.DOTALL)),
}
"""Values of one kind that follow each other, as positions and symbols do, and the bytes of each: rows
of three float64, float64, texts of one byte.
"""


def split(data: mmap, limits: PartLimits) -> Parts:
    """The body in parts; as a whole where it has no list of structures.

    Raises:
        InvalidFormat: it ends too early, or goes on after its value.
        InvalidRequest: the structures stand in it twice.
        StructureTooLarge: over a limit.
    """
    reader = _Reader(data, limits)
    if not reader.is_at(maps=True):
        return whole(len(data), limits)
    asked: list[bytes] = []
    parts: list[Part] | None = None
    for _ in range(reader.enter()):
        start = reader.at
        reader.value()
        key = data[start : min(reader.at, start + LONGEST_KEY)]
        if _is_structures(key) and reader.is_at(maps=False):
            if parts is not None:
                raise InvalidRequest(
                    "structures: stands twice in one map; which of the two is meant?"
                )
            parts = joined(reader.items(reader.enter()), limits)
        else:
            reader.value()
            asked.append(data[start : min(reader.at, start + MOST_PREFIX + 1)])
    if reader.at < len(data):
        raise InvalidFormat(f"the body goes on after its MessagePack value, at byte {reader.at}")
    return Parts(_prefix(asked), parts) if parts else whole(len(data), limits)


def _is_structures(key: bytes) -> bool:
    """Whether a key is the text `structures`, in the shortest form or a longer one."""
    return key.endswith(KEY[1:]) and key[: -len(KEY) + 1] in (
        KEY[:1],
        b"\xd9\x0a",
        b"\xda\x00\x0a",
        b"\xdb\x00\x00\x00\x0a",
    )


def _prefix(asked: list[bytes]) -> bytes:
    """The beginning of a body with these members, up to the list of its structures."""
    size = sum(map(len, asked))
    if size > MOST_PREFIX:
        raise InvalidFormat(
            f"what is asked besides structures takes over {MOST_PREFIX} bytes, the most that is read"
        )
    return struct.pack(">BI", 0xDF, len(asked) + 1) + b"".join(asked) + KEY


class _Reader:
    """Goes through values from the first byte on.

    Attributes:
        at: where it is.
    """

    def __init__(self, data: mmap, limits: PartLimits) -> None:
        self._data, self._limits = data, limits
        self.at = 0

    def is_at(self, maps: bool) -> bool:
        """Whether a map is next, or a list."""
        first = self._first()
        if maps:
            return 0x80 <= first < 0x90 or first in MAPS
        return 0x90 <= first < 0xA0 or first in (0xDC, 0xDD)

    def enter(self) -> int:
        """Go behind the head of a list or map; how many elements or entries it has."""
        return self._pass_head()[0]

    def items(self, count: int) -> Iterator[Item]:
        """So many values, one after the other."""
        for number in range(count):
            start = self.at
            self.value(number)
            yield Item(start, self.at)

    def value(self, number: int | None = None) -> None:
        """Pass a value, of a structure of this number if one is given."""
        start, pending = self.at, 1
        while pending:
            if passed := self._pass_run(pending):
                pending -= passed
                continue
            count, is_map = self._pass_head()
            pending += count * (1 + is_map) - 1
            if number is not None:
                self._limits.check_size(number, max(self.at - start, pending))
            if self.at > len(self._data) or pending > len(self._data):
                raise InvalidFormat("the body ends before its MessagePack value does")

    def _pass_run(self, most: int) -> int:
        """Pass values of one kind, at most so many; how many they were."""
        size, pattern = RUNS.get(self._first(), (1, None))
        match = pattern and pattern.match(self._data, self.at, self.at + WINDOW)
        passed = min(most, len(match[0]) // size) if match else 0
        self.at += size * passed
        return passed

    def _first(self) -> int:
        if self.at >= len(self._data):
            raise InvalidFormat("the body ends before its MessagePack value does")
        return self._data[self.at]

    def _pass_head(self) -> tuple[int, bool]:
        """Pass a plain value, or the head of a list or map; what that has of elements."""
        first = self._first()
        self.at += 1
        if first < 0x80 or first >= 0xE0:
            return 0, False
        if 0xA0 <= first < 0xC0:
            self.at += first & 0x1F
        elif first in SIZES:
            self.at += SIZES[first]
        elif first in LENGTHS:
            width = LENGTHS[first]
            self.at += width + self._number(width) + (first in EXTENSIONS)
        else:
            width = CONTAINERS.get(first, 0)
            count = self._number(width) if width else first & 0x0F
            self.at += width
            return count, first < 0x90 or first in MAPS
        return 0, False

    def _number(self, width: int) -> int:
        return int.from_bytes(self._data[self.at : self.at + width])
