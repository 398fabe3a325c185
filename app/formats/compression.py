"""Compressed files: what is in them, and under which name."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

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
    for start, kind in UNREAD.items():
        if data.startswith(start):
            raise InvalidFormat(f"compressed with {kind}, which is not read; decompress it first")
    opener = next((opener for start, opener in OPENERS.items() if data.startswith(start)), None)
    if opener is None:
        return data
    try:
        most = max(SMALLEST_LIMIT, LARGEST_RATIO * len(data)) if limit is None else limit
        beyond = too_large or InvalidFormat(
            f"larger than {most} bytes when decompressed; decompress it first"
        )
        return b"".join(_parts(opener, data, most, beyond))
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise InvalidFormat(f"compressed data that cannot be read: {error}") from error


def _parts(
    opener: Callable[[], _Decompressor], data: bytes, limit: int, too_large: InputError
) -> Iterator[bytes]:
    """What the streams of a file hold, one after the other."""
    stream, room = opener(), limit
    for at in range(0, len(data), CHUNK):
        rest = data[at : at + CHUNK]
        while rest:
            stream = opener() if stream.eof else stream
            part = stream.decompress(rest, room + 1)
            room -= len(part)
            if room < 0:
                raise too_large
            yield part
            rest = stream.unused_data
    if not stream.eof:
        raise InvalidFormat("compressed data that ends too early; is it truncated?")
