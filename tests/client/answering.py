"""A small real HTTP server that answers as it is told to, request by request."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgpack

Answer = tuple[int, dict[str, str], bytes]
MODEL = {"name": "pairs", "version": 1, "digest": "0"}
OK: Answer = (
    200,
    {"Content-Type": "application/x-msgpack"},
    msgpack.packb(
        {"model": MODEL, "units": {}, "results": [{"id": None, "status": "ok", "energy": 1.0}]}
    ),
)


def refusal(status: int, code: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b'{"error": {"code": "%s", "message": "told"}}' % code.encode()
    return status, {"Content-Type": "application/json", **named}, body


@dataclass
class Answering:
    """What is answered next; after the last one, the last one again.

    Attributes:
        url: of the server.
        answers: one after the other; None closes the connection.
        seen: bodies of requests so far.
    """

    url: str = ""
    answers: list[Answer | None] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def next(self) -> Answer | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def answering(*answers: Answer | None) -> Iterator[Answering]:
    """A server for the length of a block."""
    state = Answering(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            state.seen.append(self._body())
            state.keys.append(self.headers.get("Idempotency-Key"))
            answer = state.next()
            if answer is None:
                self.close_connection = True
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
