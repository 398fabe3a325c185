"""Receiving a large body into a file."""

import asyncio
import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.api.body import SHOWN, WINDOWS
from app.api.disconnect import ClientLeft
from app.errors import InvalidFormat, StructureTooLarge, Unavailable

PORTION = 1_000_000
"""Bytes that are kept in memory before they are written."""


@dataclass(frozen=True, slots=True)
class Received:
    """What was written.

    Attributes:
        size: bytes of the file.
        digest: sha256 of them.
    """

    size: int
    digest: str


class _Decompressor:
    """Bytes as they came, or what they hold, a portion at a time."""

    def __init__(self, encoding: str) -> None:
        if encoding not in ("", "identity") and encoding not in WINDOWS:
            raise HTTPException(
                415, f"Content-Encoding '{encoding[:SHOWN]}' is not supported; send gzip or nothing"
            )
        self._encoding = encoding
        self._reader = self._new()

    def read(self, data: bytes) -> Iterator[bytes]:
        """What is in further bytes."""
        if self._reader is None:
            yield data
            return
        while data:
            if self._reader.eof:  # one member after the other, as of files that were joined
                self._reader = self._new() or self._reader
            try:
                yield self._reader.decompress(data, PORTION)
            except zlib.error as error:
                raise InvalidFormat(f"the body is no {self._encoding}: {error}") from None
            data = self._reader.unconsumed_tail or self._reader.unused_data

    def check_end(self) -> None:
        """Whether nothing is missing.

        Raises:
            InvalidFormat: the last member has no end.
        """
        if self._reader is not None and not self._reader.eof:
            raise InvalidFormat(f"the body ends before its {self._encoding} does; is it truncated?")

    def _new(self) -> "zlib._Decompress | None":
        window = WINDOWS.get(self._encoding)
        return None if window is None else zlib.decompressobj(window)


async def receive(request: Request, path: Path, most: int, part_seconds: float) -> Received:
    """Write the body of a request, uncompressed.

    Args:
        request: its body must not have been read.
        path: of the file; must not be there.
        most: bytes of the body, uncompressed.
        part_seconds: to wait for each part.

    Raises:
        StructureTooLarge: the body has more bytes.
        InvalidFormat: it is not compressed as it is said to be.
        Unavailable: the disk is full.
        HTTPException: 408 if nothing came for too long, 415 for an unknown encoding.
        ClientLeft: the connection was closed before the end.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    reader, digest, size = _Decompressor(encoding), hashlib.sha256(), 0

    def store(data: bytes) -> int:
        written = 0
        for content in reader.read(data):
            written += len(content)
            if size + written > most:
                raise StructureTooLarge(
                    f"the body is larger than {most} bytes (max_job_bytes); send several jobs"
                )
            digest.update(content)
            _write(file, content)
        return written

    with path.open("xb") as file:
        waiting = bytearray()
        more = True
        while more:
            data, more = await _next_part(request, part_seconds)
            waiting += data
            if len(waiting) >= PORTION or not more:
                size += await asyncio.to_thread(store, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(os.fsync, file.fileno())
    reader.check_end()
    return Received(size, digest.hexdigest())


def _write(file: BinaryIO, content: bytes) -> None:
    try:
        file.write(content)
        file.flush()
    except OSError as error:
        raise Unavailable(
            f"the body cannot be kept in EQUIPOT_JOBS_FOLDER: {error.strerror}"
        ) from None


async def _next_part(request: Request, seconds: float) -> tuple[bytes, bool]:
    """Bytes, and whether there are more."""
    try:
        message = await asyncio.wait_for(request.receive(), seconds)
    except TimeoutError:
        raise HTTPException(408, f"no further part of the body came for {seconds:g} s") from None
    if message["type"] == "http.disconnect":
        raise ClientLeft
    return message.get("body", b""), message.get("more_body", False)
