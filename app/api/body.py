"""Reading a request body within a limit, and saying what it claims to be."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.api.disconnect import ClientLeft
from app.errors import StructureTooLarge
from app.protocol.request import Kind

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


MEDIA_TYPES: dict[Kind, str] = {"json": JSON, "msgpack": MSGPACK, "xyz": XYZ}


async def read_body(request: Request, limit: int, timeout: float) -> bytes:
    """The whole body; stops reading as soon as it is over the limit, whatever Content-Length said.

    Args:
        request: its body must not have been read.
        limit: bytes.
        timeout: seconds to wait for each part.

    Raises:
        StructureTooLarge: more bytes than the limit.
        HTTPException: 408 if nothing came for too long.
        ClientLeft: the connection was closed before the end.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    more = True
    try:
        async with asyncio.timeout(timeout) as deadline:
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise _too_large(limit)
                if more := message.get("more_body", False):
                    deadline.reschedule(asyncio.get_running_loop().time() + timeout)
    except TimeoutError:
        raise HTTPException(408, f"no further part of the body came for {timeout:g} s") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


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
            f"Content-Type '{header}' is not supported; send {JSON}, {MSGPACK}, {XYZ} or {PLAIN}",
        )
    return kind


def accepted_kind(request: Request, default: Kind) -> Kind:
    """`json`, `xyz` or `msgpack`, whichever Accept prefers; the kind of the request where it does
    not say.
    """
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


def _too_large(limit: int) -> StructureTooLarge:
    return StructureTooLarge(
        f"the body is larger than {limit} bytes (max_body_bytes); send fewer structures at a time"
    )
