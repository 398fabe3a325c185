"""RequestContext: which request the running task answers, and what is counted of it."""

import re
import uuid
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
"""W3C Trace Context, 3.2: version, trace, parent, flags; later versions may have more."""


@dataclass(slots=True)
class RequestContext:
    """One request.

    Attributes:
        id: by which client and log know it.
        traceparent: as it came, where it is one; where spans are made, that of the request's own.
        key: name of the key that it came with.
        address: that it came from, where that is known.
        structures: that it asked about, so far.
        atoms: of these.
        spans: that were to be made of its parts, so far.
    """

    id: str
    traceparent: str | None = None
    key: str | None = None
    address: str | None = None
    structures: int = 0
    atoms: int = 0
    spans: int = 0

    @classmethod
    def of(
        cls, ids: Sequence[str], traces: Sequence[str], address: str | None = None
    ) -> "RequestContext":
        """A new request; what is no id is replaced, what is no trace is passed over.

        Args:
            ids: fields `X-Request-ID`.
            traces: fields `traceparent`.
            address: that it comes from.
        """
        stated = len(ids) == 1 and REQUEST_ID.fullmatch(ids[0])
        trace = traces[0] if len(traces) == 1 and _is_trace(traces[0]) else None
        return cls(ids[0] if stated else uuid.uuid4().hex, trace, address=address)

    @property
    def trace_id(self) -> str | None:
        """Of the trace that it belongs to, if any."""
        return None if self.traceparent is None else self.traceparent.split("-")[1]


CONTEXT: ContextVar[RequestContext | None] = ContextVar("request", default=None)
"""The request that the running task answers; None outside of requests."""


def request_id() -> str | None:
    """The id of the request that the running task answers."""
    context = CONTEXT.get()
    return None if context is None else context.id


def count_structure(atoms: int) -> None:
    """One more structure is asked about, with so many atoms."""
    if (context := CONTEXT.get()) is not None:
        context.structures += 1
        context.atoms += atoms


def _is_trace(text: str) -> bool:
    parts = TRACEPARENT.fullmatch(text)
    if parts is None or parts[1] == "ff" or (parts[1] == "00" and parts[5]):
        return False
    return bool(int(parts[2], 16) and int(parts[3], 16))
