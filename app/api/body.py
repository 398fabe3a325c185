"""Reading a request body within limits."""

import asyncio
import zlib
from dataclasses import dataclass
from typing import Self

from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.api.disconnect import ClientLeft
from app.api.limits import Share
from app.errors import InvalidFormat, StructureTooLarge
from app.formats.compression import expand
from app.settings import Settings

WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""Content encodings, and how zlib is told of them."""
SHOWN = 80
"""Characters of a header that a message repeats."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What the body of one request may take.

    Attributes:
        size: bytes, as it comes and as it is after decompression.
        part_seconds: to wait for each part.
        seconds: to wait for all of it.
    """

    size: int
    part_seconds: float
    seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the settings say."""
        return cls(settings.max_body_bytes, settings.body_timeout, settings.receive_timeout)

    def too_large(self) -> StructureTooLarge:
        """The error for a larger one."""
        return StructureTooLarge(
            f"the body is larger than {self.size} bytes (max_body_bytes); send fewer structures at "
            "a time"
        )


async def read_body(request: Request, limits: BodyLimits, share: Share) -> bytes:
    """The whole body; stops reading as soon as it is over a limit, whatever Content-Length said.

    Args:
        request: its body must not have been read.
        limits: of one body.
        share: of the memory for all bodies.

    Raises:
        StructureTooLarge: more bytes than the limit.
        Overloaded: no memory for it beside all others.
        HTTPException: 408 if nothing came for too long, or the whole took too long.
        ClientLeft: the connection was closed before the end.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.size:
        raise limits.too_large()
    parts: list[bytes] = []
    clock = asyncio.get_running_loop().time
    end = clock() + limits.seconds
    try:
        async with asyncio.timeout_at(min(end, clock() + limits.part_seconds)) as deadline:
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                parts.append(message.get("body", b""))
                share.grow(len(parts[-1]))
                if share.size > limits.size:
                    raise limits.too_large()
                if not message.get("more_body", False):
                    break
                deadline.reschedule(min(end, clock() + limits.part_seconds))
    except TimeoutError:
        told = (
            f"the whole body did not come within {limits.seconds:g} s"
            if deadline.when() == end
            else f"no further part of the body came for {limits.part_seconds:g} s"
        )
        raise HTTPException(408, told) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def whole_body(request: Request, limits: BodyLimits, share: Share) -> bytes:
    """The whole body, decompressed; raises what `read_body` and `decompressed` do."""
    body = await read_body(request, limits, share)
    if encoding := content_encoding(request):
        body = await asyncio.to_thread(decompressed, body, encoding, limits)
        share.grow(len(body))
    return body


def content_encoding(request: Request) -> str:
    """How the body is compressed; empty where it is not."""
    return request.headers.get("content-encoding", "").strip().lower()


def decompressed(body: bytes, encoding: str, limits: BodyLimits) -> bytes:
    """What a body holds that was sent with a Content-Encoding.

    Raises:
        HTTPException: 415 for an encoding other than gzip and deflate.
        StructureTooLarge: it holds more bytes than the limit.
        InvalidFormat: it is not what it is said to be.
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in WINDOWS:
        raise HTTPException(
            415, f"Content-Encoding '{encoding[:SHOWN]}' is not supported; send gzip or nothing"
        )
    parts: list[bytes] = []
    room = limits.size + 1
    while body:  # one member after the other, as of files that were joined
        reader = zlib.decompressobj(WINDOWS[encoding])
        try:
            parts.append(reader.decompress(body, room))
        except zlib.error as error:
            raise InvalidFormat(f"the body is no {encoding}: {error}") from None
        room -= len(parts[-1])
        if room <= 0:
            raise limits.too_large()
        if not reader.eof:
            raise InvalidFormat(f"the body ends before its {encoding} does; is it truncated?")
        body = reader.unused_data
    return b"".join(parts)


def check_origin(request: Request, allowed: tuple[str, ...]) -> None:
    """Refuse what a web page of somebody else asks in its visitor's name.

    Raises:
        HTTPException: 403 where Origin is neither this host nor allowed.
    """
    origin = request.headers.get("origin")
    if origin is None or origin in allowed or "*" in allowed:
        return
    if origin.partition("://")[2] != request.headers.get("host"):
        raise HTTPException(
            403, f"pages of '{origin[:SHOWN]}' may not ask here; EQUIPOT_CORS_ORIGINS allows them"
        )


def expanded(data: bytes, limits: BodyLimits, room: int) -> bytes:
    """What a file holds that is compressed itself, whatever the body's encoding.

    Args:
        data: of the file.
        limits: of a body.
        room: bytes that are left of the limit of all files of the body.

    Raises:
        StructureTooLarge: it holds more bytes than the limit.
        InvalidFormat: it is damaged, or compressed in a way that is not read.
    """
    return expand(data, room, limits.too_large())
