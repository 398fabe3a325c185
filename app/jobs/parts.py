"""A large body as parts of some hundred structures, each of which is read as a request of its own.

The body is a file that lies in memory as far as the system likes (`mmap`). A part is a range of its
bytes: frames, records or models of a file, or elements of `structures`. What stands around these, as
model and options, is the *prefix*, with which a part becomes a body that `app.protocol.decode` reads.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from app.errors import StructureTooLarge
from app.protocol.request import Kind

PART_STRUCTURES = 256
PART_BYTES = 1_000_000
"""A part ends with the structure with which it has so many of either."""
MOST_PREFIX = 65_536
"""Bytes of all that is asked besides structures."""


class Part(NamedTuple):
    """Some structures of a body.

    Attributes:
        start: its first byte.
        stop: the byte after its last one.
        first: number of its first structure.
        structures: how many it has.
        lines: lines before its first one, in a text.
    """

    start: int
    stop: int
    first: int
    structures: int
    lines: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """A body in parts.

    Attributes:
        prefix: what makes a part a body; empty where each part is one as it is.
        parts: in order, without gaps between their structures; at least one.
    """

    prefix: bytes
    parts: list[Part]

    @property
    def structures(self) -> int:
        """Of the whole body."""
        return self.parts[-1].first + self.parts[-1].structures


@dataclass(frozen=True, slots=True)
class PartLimits:
    """What a body may hold.

    Attributes:
        structures: the most structures.
        structure_bytes: bytes of one structure.
        part_structures: of a part of a text.
    """

    structures: int
    structure_bytes: int
    part_structures: int = PART_STRUCTURES

    def check_size(self, number: int, size: int) -> None:
        """Whether a structure may take so many bytes.

        Raises:
            StructureTooLarge: it may not.
        """
        if size > self.structure_bytes:
            raise StructureTooLarge(
                f"structure {number} takes more than {self.structure_bytes} bytes, the most "
                "allowed (max_body_bytes)"
            )

    def check_count(self, structures: int) -> None:
        """Whether a job may have so many.

        Raises:
            StructureTooLarge: it may not.
        """
        if structures > self.structures:
            raise StructureTooLarge(
                f"the job has more than {self.structures} structures, the most allowed "
                "(max_job_structures); send several jobs"
            )


class Item(NamedTuple):
    """The bytes of one structure, and the lines before it."""

    start: int
    stop: int
    lines: int = 0


def joined(items: Iterator[Item], limits: PartLimits, most: int = PART_STRUCTURES) -> list[Part]:
    """Parts of successive items, at most so many each.

    Raises:
        StructureTooLarge: one is too large, or there are too many.
    """
    parts: list[Part] = []
    kept: list[Item] = []
    total = 0
    for item in items:
        limits.check_size(total, item.stop - item.start)
        total += 1
        limits.check_count(total)
        kept.append(item)
        if len(kept) == most or item.stop - kept[0].start >= PART_BYTES:
            parts.append(_part(kept, total))
            kept = []
    if kept:
        parts.append(_part(kept, total))
    return parts


def _part(items: list[Item], total: int) -> Part:
    first = items[0]
    return Part(first.start, items[-1].stop, total - len(items), len(items), first.lines)


def whole(size: int, limits: PartLimits) -> Parts:
    """A body that is its only part: that of a single structure, or one in which decoding will find
    what is wrong.

    Raises:
        StructureTooLarge: it is too large for that.
    """
    limits.check_size(0, size)
    return Parts(b"", [Part(0, size, 0, 1)])


def body(kind: Kind, prefix: bytes, items: bytes, structures: int) -> bytes:
    """The body that a part is.

    Args:
        kind: how it is written.
        prefix: of the whole body.
        items: the bytes of the part.
        structures: of the part.
    """
    if prefix and kind == "json":
        return prefix + items + b"]}"
    if prefix and kind == "msgpack":
        return prefix + struct.pack(">BI", 0xDD, structures) + items
    return prefix + items
