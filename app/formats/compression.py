"""Compressed files: what is in them, and under which name."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import IO, Any, Protocol

from app.errors import InputError, InvalidFormat

SUFFIXES = (".gz", ".bz2", ".xz")
"""Of names; whether a file is compressed, its first bytes say."""
SMALLEST_LIMIT = 64 * 2**20
LARGEST_RATIO = 100
"""A file may grow to this multiple of its size, or to `SMALLEST_LIMIT` bytes if that is more."""
CHUNK = 8192
"""Bytes that are decompressed at once; each stream's rest is copied, so that few must be left."""
LONGEST_MARK = 8
"""Bytes that say whether a file is compressed."""
DICTIONARY = 256 * 2**20
"""Bytes that xz may take for its dictionary; its strongest setting takes 64 MiB."""
UNREAD = {b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"\x04\x22\x4d\x18": "lz4"}
"""First bytes of files that have to be decompressed by other means."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


OPENERS: dict[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lambda: lzma.LZMADecompressor(memlimit=DICTIONARY),
}
"""Decompressors of one stream, by the first bytes of it."""


COMPRESSORS: dict[str, Callable[[IO[bytes]], AbstractContextManager[Any]]] = {
    # neither name nor time, so that the same content gives the same bytes
    ".gz": lambda file: gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0),
    ".bz2": partial(bz2.BZ2File, mode="wb"),
    ".xz": partial(lzma.LZMAFile, mode="wb"),
}
"""What compresses into a file, by the suffix of its name."""


@contextmanager
def compressing(file: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """What compresses into a file as its name says, for the length of a block; the file itself where its
    name says nothing.
    """
    suffix = name[len(plain_name(name)) :].lower()
    if not suffix:
        yield file
        return
    with COMPRESSORS[suffix](file) as compressor:
        yield compressor


def plain_name(name: str) -> str:
    """The name without the suffix of a compression."""
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def is_compressed(start: bytes) -> bool:
    """Whether the first bytes of a file say that it is compressed."""
    return start.startswith((*OPENERS, *UNREAD))


def expand(data: bytes, limit: int | None = None, too_large: InputError | None = None) -> bytes:
    """What is compressed in the bytes by gzip, bzip2 or xz; other bytes as they are.

    Args:
        data: of a file.
        limit: bytes that may come of it; by default `LARGEST_RATIO` times as many as there are, or
            `SMALLEST_LIMIT`.
        too_large: what is raised where more would come; by default an `InvalidFormat`.

    Raises:
        InputError: larger than the limit.
        InvalidFormat: damaged, or compressed in another way.
    """
    most = max(SMALLEST_LIMIT, LARGEST_RATIO * len(data)) if limit is None else limit
    beyond = too_large or InvalidFormat(
        f"larger than {most} bytes when decompressed; decompress it first"
    )
    expander = Expander(most, beyond)
    return b"".join((*expander.read(data), *expander.end()))


class Expander:
    """What is compressed in bytes that come one after the other, as for `expand`.

    Args:
        limit: bytes that may come of them.
        too_large: what is raised where more would come.
    """

    def __init__(self, limit: int, too_large: InputError) -> None:
        self._room, self._too_large = limit, too_large
        self._head: bytes | None = b""
        self._opener: Callable[[], _Decompressor] | None = None
        self._stream: _Decompressor | None = None

    def read(self, data: bytes) -> Iterator[bytes]:
        """What is in further bytes, part by part.

        Raises:
            InputError: larger than the limit.
            InvalidFormat: damaged, or compressed in another way.
        """
        if self._head is not None:
            self._head += data
            if len(self._head) >= LONGEST_MARK:
                yield from self._begin()
        else:
            yield from self._parts(data)

    def end(self) -> Iterator[bytes]:
        """What is left when all bytes have come.

        Raises:
            InvalidFormat: they end too early.
        """
        if self._head is not None:
            yield from self._begin()
        if self._stream is not None and not self._stream.eof:
            raise InvalidFormat("compressed data that ends too early; is it truncated?")

    def _begin(self) -> Iterator[bytes]:
        data, self._head = self._head or b"", None
        for start, kind in UNREAD.items():
            if data.startswith(start):
                raise InvalidFormat(
                    f"compressed with {kind}, which is not read; decompress it first"
                )
        openers = (opener for start, opener in OPENERS.items() if data.startswith(start))
        self._opener = next(openers, None)
        self._stream = self._opener and self._opener()
        yield from self._parts(data)

    def _parts(self, data: bytes) -> Iterator[bytes]:
        if self._opener is None or self._stream is None:
            yield self._counted(data)
            return
        try:
            for at in range(0, len(data), CHUNK):
                rest = data[at : at + CHUNK]
                while rest:
                    stream = self._stream = self._opener() if self._stream.eof else self._stream
                    yield self._counted(stream.decompress(rest, self._room + 1))
                    rest = stream.unused_data
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise InvalidFormat(f"compressed data that cannot be read: {error}") from error

    def _counted(self, part: bytes) -> bytes:
        self._room -= len(part)
        if self._room < 0:
            raise self._too_large
        return part
