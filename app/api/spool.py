"""Receiving a large body into a file."""

import asyncio
import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.api.body import SHOWN, WINDOWS
from app.api.disconnect import ClientLeft
from app.api.form import FormReader
from app.errors import InvalidFormat, StructureTooLarge, Unavailable
from app.formats.compression import Expander
from app.formats.registry import FORMATS
from app.jobs.files import BodyFile
from app.jobs.split import GRAIN
from app.protocol.request import Kind

PORTION = 1_000_000
"""Bytes that are kept in memory before they are written."""


@dataclass(frozen=True, slots=True)
class Received:
    """What was written.

    Attributes:
        size: bytes of the file.
        digest: sha256 of them, and of what else a form says.
        files: of a form, and where they are.
        fields: of a form; they ask as a query does.
    """

    size: int
    digest: str
    files: Sequence[BodyFile] = ()
    fields: Sequence[tuple[str, str]] = ()


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


class _Spool:
    """Writes what is received, and measures it.

    Args:
        file: that is written.
        most: bytes that it may have.
    """

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most
        self._digest = hashlib.sha256()
        self.size = 0

    def too_large(self) -> StructureTooLarge:
        """The error for a larger one."""
        return StructureTooLarge(
            f"the body is larger than {self._most} bytes (max_job_bytes); send several jobs"
        )

    def note(self, text: str) -> None:
        """What distinguishes the body beside its bytes."""
        self._digest.update(text.encode())

    def add(self, data: bytes) -> None:
        """Further bytes."""
        self.size += len(data)
        if self.size > self._most:
            raise self.too_large()
        self._digest.update(data)
        _write(self._file, data)

    def align(self) -> int:
        """Go to where a file may begin; which byte that is."""
        start = -(-self._file.tell() // GRAIN) * GRAIN
        self._file.seek(start)
        return start

    @property
    def digest(self) -> str:
        """sha256 of all that was added and noted."""
        return self._digest.hexdigest()


class _Body(Protocol):
    """Takes a body as it comes."""

    def read(self, data: bytes) -> None: ...

    def end(self) -> None: ...


class _Plain:
    """A body that is written as it is; one that is a file, decompressed."""

    def __init__(self, spool: _Spool, is_file: bool, most: int) -> None:
        self._spool = spool
        self._expander = Expander(most, spool.too_large()) if is_file else None

    def read(self, data: bytes) -> None:
        for part in (data,) if self._expander is None else self._expander.read(data):
            self._spool.add(part)

    def end(self) -> None:
        for part in () if self._expander is None else self._expander.end():
            self._spool.add(part)


class _Form(FormReader):
    """A form whose files are written one after the other, decompressed."""

    def __init__(self, spool: _Spool, content_type: str, most: int) -> None:
        super().__init__(content_type)
        self._spool, self._most = spool, most
        self._found: list[tuple[str, tuple[int, int]]] = []

    def begin_file(self, name: str) -> None:
        self._spool.note(f"file {name!r} {self._spool.size}")
        self._name, self._start = name, self._spool.align()
        self._before, self._body = self._spool.size, _Plain(self._spool, True, self._most)

    def add(self, data: bytes) -> None:
        self._body.read(data)

    def end_file(self) -> None:
        self._body.end()
        self._found.append((self._name, (self._start, self._spool.size - self._before)))

    def end(self) -> None:
        super().end()
        if not self._found:
            raise InvalidFormat("the form holds no file; send one or several, with their names")
        for field in self.fields:
            self._spool.note(repr(field))

    @property
    def files(self) -> list[BodyFile]:
        """Where each file is."""
        return [BodyFile(name, self.kind or "", *place) for name, place in self._found]


async def receive(
    request: Request, path: Path, kind: Kind, most: int, part_seconds: float
) -> Received:
    """Write the body of a request, uncompressed.

    Args:
        request: its body must not have been read.
        path: of the file; must not be there.
        kind: how the body is written.
        most: bytes of the body, uncompressed.
        part_seconds: to wait for each part.

    Raises:
        StructureTooLarge: the body has more bytes.
        InvalidFormat: it is not compressed as it is said to be, or no form.
        InvalidRequest: a field of a form that cannot be read.
        Unavailable: the disk is full.
        HTTPException: 408 if nothing came for too long, 415 for an unknown encoding.
        ClientLeft: the connection was closed before the end.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    reader = _Decompressor(encoding)
    with path.open("xb") as file:
        spool = _Spool(file, most)
        form = _Form(spool, request.headers["content-type"], most) if kind == "files" else None
        body: _Body = form or _Plain(spool, kind in FORMATS, most)

        def store(data: bytes) -> None:
            for content in reader.read(data):
                body.read(content)

        waiting = bytearray()
        more = True
        while more:
            data, more = await _next_part(request, part_seconds)
            waiting += data
            if len(waiting) >= PORTION or not more:
                await asyncio.to_thread(store, bytes(waiting))
                waiting.clear()
        reader.check_end()
        await asyncio.to_thread(body.end)
        await asyncio.to_thread(os.fsync, file.fileno())
    files, fields = ([], []) if form is None else (form.files, form.asked)
    return Received(spool.size, spool.digest, files, fields)


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
