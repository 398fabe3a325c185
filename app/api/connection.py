"""Connection: a client's, with limits of what it sends and of how long that takes.

uvicorn's own protocol on httptools (llhttp) does the parsing. Added to it are: a limit of header
bytes and lines, a deadline for headers, a limit of connections with room for health checks, an
answer to clients that have closed their sending side, the bodies of requests that offer an upgrade,
and the Host that HTTP/1.1 asks for.
"""

import logging
from asyncio import TimerHandle
from typing import Any

import httptools
import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from app.api.limits import ConnectionLimits

MOST_HEADER_BYTES = 65_536
MOST_HEADERS = 128
PROBE_AFTER = 0.2
"""Seconds after which a client that has closed its sending side is asked whether it is still there.
"""
PROBE_PAUSES = (0.1, 1.0)
"""Seconds until it is asked again, and then again and again."""
PROBE = b"HTTP/1.1 102 Processing\r\n\r\n"
EMPTY = b"content-length: 0\r\n"
FRAMING = (b"content-length", b"transfer-encoding")
TOO_LARGE = (431, "request_header_fields_too_large", "send fewer or shorter headers")
FULL = (503, "too_many_connections", "all connections are taken; try again in a second")
NO_HOST = (400, "bad_request", "HTTP/1.1 wants one Host header")
HEALTH_PATHS = ("/livez", "/readyz", "/metrics")

log = logging.getLogger(__name__)


class Connection(HttpToolsProtocol):
    """See uvicorn's; what is added to it stands in the module's docstring."""

    limits: ConnectionLimits

    def __init__(self, config: Config, server_state: ServerState, *args: Any, **rest: Any) -> None:
        super().__init__(config, server_state, *args, **rest)
        self._in_headers = True
        self._header_bytes = 0
        self._refusal: tuple[int, str, str] | None = None
        self._replaying = False
        self._without_body = 0
        self._is_spare = False
        self._deadline: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Take the connection, or close it where not even one for a health check is left."""
        super().connection_made(transport)
        limits = self.limits
        open_connections = len(self.connections)
        limits.opened(open_connections)
        if open_connections > limits.most + limits.spare:
            transport.close()
            return
        self._is_spare = open_connections > limits.most
        self._begin_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._end_deadline()
        super().connection_lost(exc)
        self.limits.closed(len(self.connections))

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for an answer that is still to come.

        Whether the client is still there, a probe tells later: an interim response, to which the
        system of one that has left replies that there is nobody.
        """
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        self.loop.call_later(PROBE_AFTER, self._probe)
        return True

    def data_received(self, data: bytes) -> None:
        """Parse what came, within the limits of headers."""
        self._unset_keepalive_if_required()
        if self._in_headers:
            if self._deadline is None:
                self._begin_headers()
            self._header_bytes += len(data)
        self._without_body += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse((400, "bad_request", "this is no HTTP request"))
            return
        most = max(self._header_bytes if self._in_headers else 0, self._without_body)
        if most > MOST_HEADER_BYTES:
            self._refusal = TOO_LARGE
        if self._refusal:
            self._refuse(self._refusal)

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._replaying:
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Note a part of the request's target."""
        if not self._replaying:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header, if there are not too many."""
        if self._replaying:
            return
        if len(self.headers) >= MOST_HEADERS:
            self._refusal = TOO_LARGE
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request over, unless it is refused for its headers or for want of room."""
        if self._replaying:
            return
        self._in_headers = False
        self._without_body = 0
        self._end_deadline()
        self._refusal = self._refusal or self._fault()
        if self._refusal is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note a part of the body."""
        self._without_body = 0
        if self._refusal is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; what comes next are the headers of another one."""
        self._without_body = 0
        if self._refusal is None and not self._replaying:
            super().on_message_complete()
            self._in_headers, self._header_bytes = True, 0

    def _fault(self) -> tuple[int, str, str] | None:
        """Why a request is refused, from its headers alone."""
        if sum(len(name) + len(value) for name, value in self.headers) > MOST_HEADER_BYTES:
            return TOO_LARGE
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            return NO_HOST
        if self._is_spare and not self.url.startswith(tuple(p.encode() for p in HEALTH_PATHS)):
            self.limits.refused()
            return FULL
        return None

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Read the body of a request that offered to go on in another protocol.

        The parser takes such a request to end with its headers. We stay with HTTP/1.1, as RFC 9110,
        7.8, lets us, so that its body follows: a parser that is told of its length reads it.
        """
        if self._refusal:
            return
        framing = [header for header in self.headers if header[0] in FRAMING]
        head = b"".join(b"%s: %s\r\n" % header for header in framing) or EMPTY
        self.parser = httptools.HttpRequestParser(self)
        self._replaying = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
        self._replaying = False
        self.cycle.more_body = any(name == FRAMING[1] or int(value) for name, value in framing)
        self._in_headers = not self.cycle.more_body
        if rest or self.cycle.more_body:
            self.data_received(rest)

    def _begin_headers(self) -> None:
        seconds = self.limits.header_timeout
        self._deadline = self.loop.call_later(seconds, self._close_slow)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close_slow(self) -> None:
        self.limits.slow()
        self.transport.close()

    def _probe(self, pauses: tuple[float, ...] = PROBE_PAUSES) -> None:
        """Write to a client that has closed its sending side.

        The write after the one that it answered with a reset fails, and ends the connection.
        """
        cycle = self.cycle
        if cycle.response_started or cycle.disconnected or self.transport.is_closing():
            return
        if self.scope["http_version"] == "1.1":
            self.transport.write(PROBE)
            self.loop.call_later(pauses[0], self._probe, pauses[1:] or pauses)

    def _refuse(self, refusal: tuple[int, str, str]) -> None:
        """Answer without the app, and close."""
        status, code, message = refusal
        if self.transport.is_closing():
            return
        body = orjson.dumps({"error": {"code": code, "message": message}})
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\nconnection: close\r\n"
            + (b"retry-after: 1\r\n" if status == 503 else b"")
            + b"content-length: %d\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()
