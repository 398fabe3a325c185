"""Parts of a JSON body: elements of its `structures`."""

from mmap import mmap

from app.errors import InvalidFormat, InvalidRequest
from app.jobs.parts import MOST_PREFIX, Part, PartLimits, Parts, joined, whole
from app.jobs.split.json_reader import JsonReader
from app.protocol import json_text


def split(data: mmap, limits: PartLimits) -> Parts:
    """The body in parts; as a whole where it has no list of structures.

    Raises:
        InvalidFormat: it is no JSON.
        InvalidRequest: a key stands twice in an object.
        StructureTooLarge: over a limit.
    """
    reader = JsonReader(data, limits.structure_bytes)
    if not reader.enters(b"{"):
        return whole(len(data), limits)
    asked: list[tuple[int, int]] = []
    parts: list[Part] | None = None
    for key, start in reader.members():
        if key == "structures" and reader.enters(b"["):
            if parts is not None:
                raise InvalidRequest(
                    "structures: stands twice in one object; which of the two is meant?"
                )
            parts = joined(reader.elements(), limits)
        else:
            asked.append((start, reader.value()))
    reader.check_end()
    if not parts:
        return whole(len(data), limits)
    for part in parts:
        _check(data[part.start : part.stop], part)
    return Parts(_prefix(data, asked), parts)


def _prefix(data: mmap, asked: list[tuple[int, int]]) -> bytes:
    """The beginning of a body with these members, up to its first structure."""
    size = sum(stop - start for start, stop in asked)
    if size > MOST_PREFIX:
        raise InvalidFormat(
            f"what is asked besides structures takes {size} bytes; at most {MOST_PREFIX} are read"
        )
    texts = [data[start:stop] for start, stop in asked]
    return b"{" + b",".join([*texts, b'"structures":['])


def _check(items: bytes, part: Part) -> None:
    """Whether a part is JSON, and has no key twice."""
    try:
        json_text.parse(b'{"structures":[' + items + b"]}")
    except InvalidFormat as error:
        last = part.first + part.structures - 1
        raise InvalidFormat(f"structures {part.first} to {last}: {error}") from None
