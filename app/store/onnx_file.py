"""Which files an ONNX file reads besides itself, told without ONNX.

An initializer or constant may keep its numbers in another file, named by an entry `location` of its
`external_data` (onnx.proto3). Here the messages on the way to such entries are walked, and all
others skipped. Whatever protobuf's own readers might take in another way, such as groups or
overlong tags, is refused, so that nothing hides from the walk.
"""

from collections.abc import Iterator
from typing import TypeAlias

MOST_FIELDS = 2_000_000
"""Fields that are looked at; some seconds, and hundreds of times what large models have."""

Bytes: TypeAlias = memoryview

_VARINT, _FIXED64, _MESSAGE, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_TAG_BYTES, _VARINT_BYTES = 5, 10
_KEY, _VALUE = 1, 2
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "entry": {},
}
"""Which fields of a message lead on, and to what."""


def external_files(content: Bytes) -> set[str]:
    """Names of the files that an ONNX file reads tensors from, as it spells them.

    Args:
        content: of the file.

    Raises:
        ValueError: it is no ONNX file, or one of more fields than can be looked at.
    """
    names: set[str] = set()
    waiting, looked_at = [("model", 0, len(content))], 0
    while waiting:
        kind, first, last = waiting.pop()
        inside = _INSIDE[kind]
        for number, start, end in _fields(content, first, last):
            looked_at += 1
            if number in inside:
                waiting.append((inside[number], start, end))
        if looked_at > MOST_FIELDS:
            raise ValueError(f"over {MOST_FIELDS} fields")
        if kind == "entry":
            names |= _locations(content, first, last)
    return names


def _locations(content: Bytes, first: int, last: int) -> set[str]:
    """What an entry of `external_data` says of the location, if anything; of several values each
    may count.
    """
    texts: dict[int, set[bytes]] = {_KEY: set(), _VALUE: set()}
    for number, start, end in _fields(content, first, last):
        texts.get(number, set()).add(bytes(content[start:end]))
    if b"location" not in texts[_KEY]:
        return set()
    return {text.decode("utf-8", "backslashreplace") for text in texts[_VALUE] or {b""}}


def _fields(content: Bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field of a message.

    Raises:
        ValueError: it is no message.
    """
    for _ in range(MOST_FIELDS):
        if start == end:
            return
        tag, start = _varint(content, start, end, _TAG_BYTES)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _, stop = _varint(content, start, end, _VARINT_BYTES)
        elif wire == _MESSAGE:
            length, start = _varint(content, start, end, _VARINT_BYTES)
            stop = start + length
        elif wire in _SIZES:
            stop = start + _SIZES[wire]
        else:
            raise ValueError(f"a field of kind {wire} at byte {start}")
        if stop > end or not 0 < number < 1 << 29:
            raise ValueError(f"a field that is none at byte {start}")
        yield number, start, stop
        start = stop
    raise ValueError(f"over {MOST_FIELDS} fields")


def _varint(content: Bytes, start: int, end: int, most: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for place in range(min(most, end - start)):
        byte = content[start + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, start + place + 1
    raise ValueError(f"a number without an end at byte {start}")
