"""Portions: what a screen gives to a worker at a time, as bytes of a file that the worker reads.

A file is cut where a structure begins, so that the driver reads no structure, and a portion is the
same whoever cuts it again: a run that goes on finds its portions by their numbers.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from app.errors import EquipotError, InvalidFormat
from app.formats.compression import LONGEST_MARK, expand, is_compressed, plain_name
from app.formats.registry import FORMATS, HEAD, of_content, of_name
from app.jobs.parts import PART_STRUCTURES, Part, PartLimits
from app.jobs.split import split
from app.places.url import Url, is_url

LARGEST = 256_000_000
"""Bytes of one structure, about four million atoms."""
PORTION = 1024
"""Structures of a portion, unless another number is stated."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Structures of a file.

    Attributes:
        number: of the portion, from 0, over all files.
        file: where they are from, for people.
        kind: their format, a key of `FORMATS` or a name of ASE's; None where the content says it.
        content: the bytes, which can be read alone.
        before: frames and lines of the file before them, for messages.
        error: why the file cannot be read; the portion then is this error.
        share: of the whole input that ends with it, from 0 to 1.
    """

    number: int
    file: str
    kind: str | None
    content: bytes
    before: tuple[int, int] = (0, 0)
    error: EquipotError | None = None
    share: float = 1.0


class Portions:
    """The portions of some files, in order; to be used in a `with` block.

    Args:
        files: their names, or URLs; what is at one is fetched when its turn comes, and removed after.
        kind: format of them all; by default, what names and contents say.
        size: structures of a portion, at most; that of a format of ASE's is the whole file.
    """

    def __init__(self, files: Sequence[str], kind: str | None = None, size: int = PORTION) -> None:
        self._files, self._kind, self._size = files, kind, size
        self._scratch = tempfile.TemporaryDirectory(prefix="equipot-")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._scratch.cleanup()

    def __iter__(self) -> Iterator[Portion]:
        numbers = count()
        sizes = [max(1, _size(file)) for file in self._files]
        total, before = sum(sizes), 0
        for file, size in zip(self._files, sizes, strict=True):
            shown = Url.shown_of(file) if is_url(file) else file
            for kind, content, start, share in self._of(file, shown):
                end = (before + share * size) / total
                if isinstance(content, EquipotError):
                    yield Portion(next(numbers), shown, kind, b"", error=content, share=end)
                else:
                    yield Portion(next(numbers), shown, kind, content, start, share=end)
            before += size

    def _of(
        self, file: str, shown: str
    ) -> Iterator[tuple[str | None, bytes | EquipotError, tuple[int, int], float]]:
        """Format, content, place and share of the portions of a file.

        Raises:
            UnreachableStore: a file at a URL cannot be fetched, which says nothing of what is in it.
        """
        with tempfile.TemporaryDirectory(dir=self._scratch.name) as scratch:
            path = Path(file)
            if is_url(file):
                path = Path(scratch) / Path(shown).name
                Url(file).fetch(path)
            yield from self._cut(shown, path, Path(scratch))

    def _cut(
        self, file: str, path: Path, scratch: Path
    ) -> Iterator[tuple[str | None, bytes | EquipotError, tuple[int, int], float]]:
        """The same of a file that is here."""
        try:
            path = _expanded(path, scratch)
            with path.open("rb") as opened:
                head = opened.read(HEAD)
                kind = self._kind or of_name(plain_name(file)) or of_content(head)
                if kind is None or kind not in FORMATS:
                    yield kind, head + opened.read(), (0, 0), 1.0
                    return
                most = min(self._size, PART_STRUCTURES)
                parts = split(path, kind, PartLimits(sys.maxsize, LARGEST, most))
                prefix, groups = parts.prefix, grouped(parts.parts, self._size)
                size = path.stat().st_size
                for first, last in groups:
                    opened.seek(first.start)
                    content = prefix + opened.read(last.stop - first.start)
                    lines = first.lines - prefix.count(b"\n")
                    yield kind, content, (first.first, lines), last.stop / size
        except (OSError, EquipotError) as error:
            told = error.strerror if isinstance(error, OSError) else error
            yield None, InvalidFormat(f"{file}: {told}"), (0, 0), 1.0


def _expanded(path: Path, scratch: Path) -> Path:
    """The file, or what is in it where it is compressed, in another folder."""
    with path.open("rb") as file:
        if not is_compressed(file.read(LONGEST_MARK)):
            return path
    unpacked = scratch / f"plain-{plain_name(path.name)}"
    unpacked.write_bytes(expand(path.read_bytes()))
    return unpacked


def _size(file: str) -> int:
    return Url(file).size() if is_url(file) else Path(file).stat().st_size


def grouped(parts: Sequence[Part], size: int) -> Iterator[tuple[Part, Part]]:
    """First and last of successive parts that together have at most so many structures, or are one."""
    first = 0
    for number, part in enumerate(parts):
        if part.first + part.structures - parts[first].first > size and number > first:
            yield parts[first], parts[number - 1]
            first = number
    if parts:
        yield parts[first], parts[-1]
