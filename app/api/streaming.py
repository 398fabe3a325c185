"""Streams of lines: reading a body line by line, and writing an answer part by part."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.api.body import BodyLimits
from app.api.disconnect import ClientLeft, disconnected
from app.api.limits import Share
from app.errors import EquipotError, InvalidRequest
from app.protocol.faults import fault
from app.protocol.lines import LineSink
from app.protocol.model_ref import ModelRef
from app.service.models import Models

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
"""Seconds after which a stream that waits for its client looks whether the service is to end."""


def model_header(models: Sequence[ModelRef]) -> dict[str, str]:
    """The header that says which model answers, or which ones do."""
    return {"X-Equipot-Model": ", ".join(f"{each.reference} {each.digest}" for each in models)}


class LineReader:
    """The lines of a body, read no faster than they are asked for.

    Args:
        request: its body must not have been read.
        limits: of the longest line, and of the wait for a part of the body.
        share: of the memory for bodies: what has come and has not been asked for yet.
        models: say when the service is to end.

    Attributes:
        read: is set when all of it has come.
    """

    def __init__(self, request: Request, limits: BodyLimits, share: Share, models: Models) -> None:
        self._request, self._limits, self._share, self._models = request, limits, share, models
        self._first: Message | None = None
        self.read = asyncio.Event()

    async def begin(self) -> None:
        """Wait for the first part, before anything is answered."""
        self._first = await self._message()

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines, without their ends.

        Raises:
            StructureTooLarge: a line is over the limit of a body.
            Overloaded: no memory for it beside all others.
            InvalidRequest: nothing came for too long.
            Unavailable: the service is to end.
            ClientLeft: the connection was closed.
        """
        rest: list[bytes] = []
        more = True
        while more:
            message = self._first or await self._message()
            self._first = None
            more = message.get("more_body", False)
            body = message.get("body", b"")
            self._share.grow(len(body))
            *whole, last = body.split(b"\n")
            for line in whole:
                yield self._taken([*rest, line], 1)
                rest = []
            rest.append(last)
            if sum(map(len, rest)) > self._limits.size:
                raise self._limits.too_large()
        self.read.set()
        if any(rest):
            yield self._taken(rest, 0)

    def _taken(self, parts: list[bytes], ends: int) -> bytes:
        line = b"".join(parts)
        if len(line) > self._limits.size:
            raise self._limits.too_large()
        self._share.shrink(len(line) + ends)
        return line

    async def _message(self) -> Message:
        receiving = asyncio.ensure_future(self._request.receive())
        try:
            async with asyncio.timeout(self._limits.part_seconds):
                while not receiving.done():
                    await asyncio.wait([receiving], timeout=LOOK_EVERY)
                    self._models.check_ready()
        except TimeoutError:
            raise InvalidRequest(
                f"no further part of the body came for {self._limits.part_seconds:g} s (body_timeout)"
            ) from None
        finally:
            receiving.cancel()
        message: Message = receiving.result()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        return message


class StreamedResponse(Response):
    """An answer that is written part by part, as fast as its reader takes it.

    Args:
        request: that is answered.
        parts: of the body.
        media_type: of the body.
        models: which answer.
        sink: writes why a stream ends early, where its form has a place for that; elsewhere the
            connection ends without the end of the answer.
        patience: seconds that a reader may take nothing.
        read: is set when the body of the request has been read.
        closing: is called when nothing more is written.
    """

    def __init__(
        self,
        request: Request,
        parts: AsyncGenerator[bytes, None],
        media_type: str,
        models: Sequence[ModelRef],
        sink: LineSink | None,
        patience: float,
        read: asyncio.Event,
        closing: Callable[[], None],
    ) -> None:
        super().__init__(None, 200, model_header(models), media_type)
        del self.headers["content-length"]
        self._request, self._parts, self._sink = request, parts, sink
        self._patience, self._read, self._closing = patience, read, closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write all of it, or until the client has left."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        writing = asyncio.ensure_future(self._write(send))
        watching = asyncio.ensure_future(self._left())
        try:
            await asyncio.wait([writing, watching], return_when=asyncio.FIRST_COMPLETED)
            if writing.done() and writing.result():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watching.cancel()
            writing.cancel()
            await asyncio.wait([writing, watching])
            self._closing()

    async def _write(self, send: Send) -> bool:
        """Write all parts; whether the answer has come to an end that it should have."""
        try:
            async with aclosing(self._parts) as parts:
                async for part in parts:
                    await self._send(send, part)
        except EquipotError as error:
            if self._sink is None:
                log.warning("a stream of records is cut off: %s", error)
                return False
            await self._send(send, self._sink.broken(fault(error)))
        except (ClientLeft, TimeoutError):
            return False
        except Exception as error:
            log.exception("a stream is cut off")
            if self._sink is None:
                return False
            told = f"an unexpected {type(error).__name__}; the service's log has more"
            await self._send(send, self._sink.broken(fault(EquipotError(told))))
        return True

    async def _send(self, send: Send, part: bytes) -> None:
        async with asyncio.timeout(self._patience):
            await send({"type": "http.response.body", "body": part, "more_body": True})

    async def _left(self) -> None:
        """Wait until the client has left; while its body is read, reading it tells that."""
        await self._read.wait()
        await disconnected(self._request)
