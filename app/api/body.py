"""Reading a request body within a limit, and saying what it claims to be."""

import asyncio
import zlib
from dataclasses import dataclass
from typing import Self

from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.api.disconnect import ClientLeft
from app.api.limits import Share
from app.errors import InvalidFormat, StructureTooLarge
from app.protocol.request import Kind
from app.settings import Settings

JSON = "application/json"
XYZ = "chemical/x-xyz"
PLAIN = "text/plain"
MSGPACK = "application/x-msgpack"
KINDS: dict[str, Kind] = {
    JSON: "json",
    XYZ: "xyz",
    PLAIN: "xyz",
    MSGPACK: "msgpack",
    "application/msgpack": "msgpack",
    "application/vnd.msgpack": "msgpack",
}


WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""Content encodings, and how zlib is told of them."""
SHOWN = 80
"""Characters of a header that a message repeats."""
MEDIA_TYPES: dict[Kind, str] = {"json": JSON, "msgpack": MSGPACK, "xyz": XYZ}


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


def content_kind(request: Request) -> Kind:
    """`json`, `xyz` or `msgpack`, from Content-Type; JSON where there is none.

    Raises:
        HTTPException: 415 for anything else.
    """
    header = request.headers.get("content-type", JSON)
    kind = KINDS.get(header.partition(";")[0].strip().lower())
    if kind is None:
        raise HTTPException(
            415,
            f"Content-Type '{header[:SHOWN]}' is not supported; send {JSON}, {MSGPACK}, {XYZ} or {PLAIN}",
        )
    return kind


def accepted_kind(request: Request, default: Kind) -> Kind:
    """`json`, `xyz` or `msgpack`, as Accept prefers, else the kind of the request."""
    best, kind = 0.0, default
    for part in request.headers.get("accept", "").split(","):
        media, _, parameters = part.partition(";")
        offered = KINDS.get(media.strip().lower())
        weight = _weight(parameters)
        if offered and weight > best:
            best, kind = weight, offered
    return kind


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
