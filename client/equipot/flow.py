"""Flow: structures out and results in over one connection at a time, without input and output.

The service answers `application/x-ndjson` in kind, line by line, as results finish. What has been sent
and has no result yet is kept, at most `window` of it, so that it can be sent again over a new
connection where one fails.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import h11
import httpx

from equipot.arrays import plain
from equipot.calls import failed
from equipot.errors import (
    ConnectionFailed,
    EquipotError,
    StructureTooLarge,
    TimedOut,
    error_of,
)
from equipot.request import Retry, is_passing, late, service_error, shown, tell
from equipot.results import AnswerWarning, Model, Result
from equipot.structures import Item

LINES = "application/x-ndjson"
CHUNK = 65_536
"""Bytes that are made ready to be sent at a time."""
QUIET = 5.0
"""Seconds without anything to send after which a blank line says that there may be more."""

ENDED = "the stream ended before all had been answered"


class Flow:
    """What a stream has to send and what it has got.

    Args:
        url: where structures are sent, with what is asked of all of them.
        headers: of each request.
        retry: how often to begin anew without a result in between.
        window: the most structures that are under way.

    Attributes:
        is_over: whether the connection has nothing more to say.
    """

    def __init__(
        self,
        url: httpx.URL,
        headers: Mapping[str, str],
        retry: Retry,
        window: int,
    ) -> None:
        if window < 1:
            raise ValueError(f"window: {window}; at least one structure is under way")
        self._url = shown(url)
        self._target = url.raw_path.decode()
        host = url.netloc.decode()
        self._headers: list[tuple[str, str]] = [("Host", host), *headers.items()]
        self._headers += [("Content-Type", LINES), ("Accept", LINES)]
        self._headers += [("Transfer-Encoding", "chunked")]
        self._retry, self._window = retry, window
        self._count, self._ended = 0, False
        self._kept: dict[int, Item] = {}
        self._refused: list[Result] = []
        self._attempt = 0
        self.begin()

    def begin(self) -> None:
        """Begin with a new connection: what has no result yet is sent again."""
        self._http = h11.Connection(h11.CLIENT)
        self._unsent = deque(sorted(self._kept))
        self._numbers: list[int] = []
        self._several = False
        self._head = self._closed = False
        self._status = 0
        self._wait: str | None = None
        self._rest = bytearray()
        self._warnings: list[AnswerWarning] = []
        self._model: Model | None = None
        self._complete = self.is_over = False
        self._error: EquipotError | None = None
        self._attempt += 1

    @property
    def has_room(self) -> bool:
        """Whether another structure may be added."""
        return not (self._ended or self.is_over) and len(self._kept) < self._window

    @property
    def has_sent_all(self) -> bool:
        """Whether the connection has all that it is to have."""
        return self._closed

    def add(self, item: Item) -> None:
        """One more structure."""
        if item.error is not None:
            self._refused.append(failed(item, self._count))
        else:
            self._kept[self._count] = item
            self._unsent.append(self._count)
        self._count += 1

    def end(self) -> None:
        """There are no more."""
        self._ended = True

    def data_to_send(self) -> bytes:
        """The next bytes for the connection; none where it has to wait for results."""
        parts, size = [], 0
        if not self._head:
            self._head = True
            request = h11.Request(method="POST", target=self._target, headers=self._headers)
            parts.append(self._sent(request))
        while self._unsent and size < CHUNK and not self.is_over:
            parts.append(self._sent(h11.Data(data=self._line(self._unsent.popleft()))))
            size += len(parts[-1])
        if self._ended and not (self._unsent or self._closed or self.is_over):
            self._closed = True
            parts.append(self._sent(h11.EndOfMessage()))
        return b"".join(parts)

    def keep_alive(self) -> bytes:
        """A blank line, which the service passes over; none where no more is to be sent."""
        if self._closed or self.is_over:
            return b""
        self._numbers.append(-1)
        return self._sent(h11.Data(data=b"\n"))

    def refused(self) -> list[Result]:
        """Results of what could not be sent."""
        taken, self._refused = self._refused, []
        return taken

    def received(self, data: bytes) -> Iterator[Result]:
        """Results in what has come; no bytes are the end of the connection.

        Raises:
            EquipotError: no result can follow, and another attempt would not mend it.
        """
        try:
            self._http.receive_data(data)
            while not self.is_over:
                event = self._http.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED):
                    break
                yield from self._happened(event)
        except h11.RemoteProtocolError as error:
            self.broken(error)

    def broken(self, error: Exception) -> None:
        """The connection failed."""
        self.is_over = True
        self._error = ConnectionFailed(f"{self._url}: {ENDED}: {error}")

    def late(self, timeout: float) -> TimedOut:
        """The error of a connection from which nothing came for some seconds."""
        return late(self._url, timeout)

    def conclude(self) -> float | None:
        """After a connection is over: seconds to wait before a new one, or None if all is done.

        Raises:
            EquipotError: another attempt would not help, or too many have been made.
        """
        if self._complete:
            return None
        error = self._failure()
        if not self._may_pass(error) or self._attempt >= self._retry.attempts:
            raise error
        if self._several:
            raise ConnectionFailed(
                f"{error}; files and SMILES with several results were on their way, of which it is "
                "not known which are missing"
            ) from error
        if self._attempt <= 1:
            tell(error, self._retry, self._url)
        return self._retry.seconds(self._attempt, self._wait)

    def _failure(self) -> EquipotError:
        if self._status >= 400:
            return service_error(self._status, bytes(self._rest))
        return self._error or ConnectionFailed(f"{self._url}: {ENDED}")

    def _may_pass(self, error: EquipotError) -> bool:
        """What breaks a stream passes, unless it is a line that is too long."""
        if self._status >= 400:
            return is_passing(error)
        return not isinstance(error, StructureTooLarge)

    def _sent(self, event: h11.Event) -> bytes:
        return self._http.send(event) or b""

    def _line(self, index: int) -> bytes:
        item = self._kept[index]
        self._numbers.append(index)
        if not item.single:
            self._several = True
            del self._kept[index]
        return json.dumps(item.fields, default=plain, separators=(",", ":")).encode() + b"\n"

    def _happened(self, event: Any) -> Iterator[Result]:
        if isinstance(event, h11.Response):
            self._status = event.status_code
            named = {name.lower(): value.decode() for name, value in event.headers}
            self._wait = named.get(b"retry-after")
        elif isinstance(event, h11.Data):
            self._rest += event.data
            if self._status < 400:
                yield from self._lines()
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            self.is_over = True

    def _lines(self) -> Iterator[Result]:
        *whole, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in whole:
            fields = json.loads(line)
            match fields["status"]:
                case "begin":
                    self._model = Model.of(fields["model"])
                case "warning":
                    self._warnings.append(AnswerWarning(**fields["warning"]))
                case "end":
                    self._complete = self._ended and not self._kept
                case "broken":
                    told = fields["error"]
                    self._error = error_of(told["code"], told["message"])
                case _:
                    yield self._result(fields)

    def _result(self, fields: Mapping[str, Any]) -> Result:
        index = self._numbers[fields["item"]]
        item = self._kept.pop(index, None)
        warnings, self._warnings = tuple(self._warnings), []
        self._attempt = 0
        sent = None if item is None else item.fields
        return Result.of(fields, index, self._model, sent, warnings)
