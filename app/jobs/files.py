"""The files of a form: where each stands in the body of a job, and its parts."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import ormsgpack

from app.errors import InvalidFormat
from app.formats.registry import HEAD, kind_of
from app.jobs.parts import Part, PartLimits, Parts
from app.jobs.split import split
from app.protocol.request import Kind


@dataclass(frozen=True, slots=True)
class BodyFile:
    """A file in the body of a job, not compressed.

    Attributes:
        name: of the file; empty where it has none.
        kind: its format; empty where name and content say it.
        start: its first byte.
        size: how many they are.
        first: number of its first structure.
        prefix: what its parts have before themselves.
        error: why it cannot be read; empty where it can.
    """

    name: str
    kind: Kind
    start: int
    size: int
    first: int = 0
    prefix: bytes = b""
    error: str = ""


def split_files(path: Path, files: Sequence[BodyFile], limits: PartLimits) -> Parts:
    """The parts of all files; one that cannot be read is an error in its place, if it is not the only
    one. The prefix says where each is.

    Raises:
        InvalidFormat: the only file is not what it is said to be.
        StructureTooLarge: over a limit.
    """
    known: list[BodyFile] = []
    parts: list[Part] = []
    total = 0
    for file in files:
        try:
            if not file.size:
                raise InvalidFormat("the file is empty; at least one structure is expected")
            kind = file.kind or kind_of(_head(path, file), file.name)
            own = split(path, kind, limits, file.start, file.size)
        except InvalidFormat as error:
            if len(files) == 1:
                raise
            known.append(replace(file, first=total, error=str(error)))
            parts.append(Part(file.start, file.start, total, 1))
        else:
            known.append(replace(file, kind=kind, first=total, prefix=own.prefix))
            parts += [_moved(part, file.start, total) for part in own.parts]
        total = parts[-1].first + parts[-1].structures
        limits.check_count(total)
    return Parts(ormsgpack.packb([astuple(file) for file in known]), parts)


def file_of(prefix: bytes, first: int) -> tuple[int | None, BodyFile]:
    """The file that a structure stands in, and its number; None where it is the only one.

    Args:
        prefix: of `split_files`.
        first: number of the structure.
    """
    files = [BodyFile(*fields) for fields in ormsgpack.unpackb(prefix)]
    number = max(n for n, file in enumerate(files) if file.first <= first)
    return None if len(files) == 1 else number, files[number]


def kinds_of(prefix: bytes) -> set[Kind]:
    """Formats of all files that can be read.

    Args:
        prefix: of `split_files`.
    """
    files = [BodyFile(*fields) for fields in ormsgpack.unpackb(prefix)]
    return {file.kind for file in files if not file.error}


def _moved(part: Part, start: int, first: int) -> Part:
    return part._replace(start=part.start + start, stop=part.stop + start, first=part.first + first)


def _head(path: Path, file: BodyFile) -> bytes:
    with path.open("rb") as body:
        body.seek(file.start)
        return body.read(min(file.size, HEAD))
