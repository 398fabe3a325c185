"""How much a body holds, told before anything is made of it.

A list costs some sixty bytes of memory and one byte of JSON, so that a body within its limit could
take twenty times its size, and hold the interpreter for seconds while it is parsed. But a request
has a list an atom at most; what has more is over the limits anyway.
"""

import re

from app.errors import InvalidFormat, StructureTooLarge

EACH_STRUCTURE = 64
"""Lists and maps of a structure besides its atoms' positions, brackets in its `id` included."""
EACH_ATOM = 5
"""Numbers and texts of an atom."""
TEXT_COMMAS = 100
"""Commas of a structure's texts."""
SIZES = {
    **dict.fromkeys((0xC0, 0xC1, 0xC2, 0xC3), 0),
    **{0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8},
    **{0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17},
}
"""Bytes that follow the first one of a value of fixed size."""
LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""Bytes of the length of binary data, extensions and texts."""
CONTAINERS = {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
"""Bytes of the count of lists and maps."""
MAPS = (0xDE, 0xDF)
EXTENSIONS = (0xC7, 0xC8, 0xC9)
ROW = 28
ROWS = re.compile(rb"(?:\x93(?:\xcb.{8}){3})+", re.DOTALL)
"""Lists of three float64 each, of `ROW` bytes: most of a body with positions, counted at once."""


def check_json(body: bytes, structures: int, atoms: int) -> None:
    """Whether a JSON text may hold a request within the limits.

    Args:
        body: the text.
        structures: most structures of a request.
        atoms: most atoms of a request.

    Raises:
        StructureTooLarge: it has more lists, objects or values than that can have.
    """
    opened = body.count(b"[") + body.count(b"{")
    _check("lists and objects", opened, atoms + EACH_STRUCTURE * (structures + 1))
    commas = EACH_ATOM * atoms + TEXT_COMMAS * (structures + 1)
    _check("values", body.count(b","), commas)


def check_lines(lines: int, structures: int, atoms: int) -> None:
    """Whether texts of so many lines may hold a request within the limits; as `check_json`."""
    _check("lines", lines, 2 * (atoms + EACH_STRUCTURE * (structures + 1)))


def check_msgpack(body: bytes, structures: int, atoms: int) -> int:
    """Whether a MessagePack body may hold a request within the limits; as `check_json`.

    Format: github.com/msgpack/msgpack/blob/master/spec.md.

    Returns:
        How many entries its maps have, those with the same key included.

    Raises:
        StructureTooLarge: it has more lists and maps than that can have.
        InvalidFormat: something follows the value.
    """
    most = atoms + EACH_STRUCTURE * (structures + 1)
    at, containers, entries, pending = 0, 0, 0, 1
    while pending and at < len(body):
        first = body[at]
        if first == 0x93 and (found := ROWS.match(body, at)):
            rows = min(pending, (found.end() - at) // ROW)
            at, containers, pending = at + ROW * rows, containers + rows, pending - rows
            _check("lists and maps", containers, most)
            continue
        at, pending = at + 1, pending - 1
        if first < 0x80 or first >= 0xE0:
            continue
        if 0xA0 <= first < 0xC0:
            at += first & 0x1F
        elif first in SIZES:
            at += SIZES[first]
        elif first in LENGTHS:
            width = LENGTHS[first]
            at += width + int.from_bytes(body[at : at + width]) + (first in EXTENSIONS)
        else:
            width = CONTAINERS.get(first, 0)
            count = int.from_bytes(body[at : at + width]) if width else first & 0x0F
            is_map = first < 0x90 or first in MAPS
            at, containers = at + width, containers + 1
            entries += count * is_map
            pending += count * (1 + is_map)
            _check("lists and maps", containers, most)
    if at < len(body):
        raise InvalidFormat(f"the body goes on after its MessagePack value, at byte {at}")
    return entries


def _check(what: str, count: int, most: int) -> None:
    if count > most:
        raise StructureTooLarge(
            f"the body has over {most} {what}, more than a request within the limits can have "
            "(max_structures, max_request_atoms); send fewer structures at a time"
        )
