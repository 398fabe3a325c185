"""Requests and attempts, without input and output: what is to be sent or waited for next.

A *call* is a generator that gives requests, is sent their responses, and returns what they say. The
clients, one that blocks and one that does not, differ only in who carries that out.
"""

import logging
import random
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import httpx

from equipot.errors import ConnectionFailed, EquipotError, ServiceError, TimedOut, error_of

T = TypeVar("T")
LOG = logging.getLogger("equipot")
"""Is told of what is tried again: of connections that fail as a warning, of a busy service as news."""
BUSY = {429, 503}
LASTING = {"corrupt_model", "out_of_memory"}
"""Codes of a 503 that another attempt does not mend."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent; another attempt may send it again.

    Attributes:
        method: of HTTP.
        path: below the service's address.
        query: parameters.
        headers: of this request alone.
        content: the body, or what gives it part by part, from its beginning each time.
        streamed: whether the body of the response is left to be read as it comes.
        failures: whether the body of an error is an answer, too.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | Callable[[], Iterator[bytes]] = b""
    streamed: bool = False
    failures: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds to wait before the next attempt."""

    seconds: float


Call: TypeAlias = Generator[Request, httpx.Response, T]
Outcome: TypeAlias = httpx.Response | httpx.TransportError | None
"""Of a request, or of a wait, which has none."""


@dataclass(frozen=True, slots=True)
class Retry:
    """When a request is sent again: where the service is busy (429, 503), and where the connection
    fails. All requests are such that to send them twice does no harm.

    Attributes:
        attempts: the most, with the first one.
        first_wait: seconds after the first attempt, where the service does not say how long; twice
            as many after each further one.
        longest_wait: seconds, whatever the service says.
    """

    attempts: int = 8
    first_wait: float = 0.5
    longest_wait: float = 60.0

    def __str__(self) -> str:
        """What is done after a first attempt, for people."""
        waits = [min(self.first_wait * 2.0**n, self.longest_wait) for n in range(self.attempts - 1)]
        return (
            f"it is tried again up to {len(waits)} times, with waits of {sum(waits):.0f} s in all"
        )

    def seconds(self, attempt: int, retry_after: str | None = None) -> float:
        """How long to wait: at least as long as the service says, and not all at the same time.

        Args:
            attempt: from 1, which has just failed.
            retry_after: the header.
        """
        wait = self.first_wait * 2.0 ** (attempt - 1)
        jitter = random.uniform(0.5, 1.0)
        if retry_after is not None and retry_after.isdecimal():
            return min(float(retry_after) * (1.5 - jitter / 2), self.longest_wait)
        return min(wait, self.longest_wait) * jitter


def shown(url: httpx.URL | str) -> str:
    """A URL for people: without a password and without options."""
    return str(httpx.URL(url).copy_with(userinfo=b"", query=None))


def attempts(call: Call[T], retry: Retry, url: str) -> Generator[Request | Wait, Outcome, T]:
    """What is to be done for a call, step by step, with further attempts where they may help.

    Args:
        call: what is asked.
        retry: how often.
        url: of the service, for messages.

    Raises:
        EquipotError: as the call, or because no attempt succeeded.
    """
    response: httpx.Response | None = None
    while True:
        try:
            request = next(call) if response is None else call.send(response)
        except StopIteration as end:
            result: T = end.value
            return result
        response = yield from _answered(request, retry, shown(url))


def _answered(
    request: Request, retry: Retry, url: str
) -> Generator[Request | Wait, Outcome, httpx.Response]:
    attempt = 1
    while True:
        outcome = yield request
        error, retry_after = failure_of(outcome, url)
        if error is None or (_is_last_word(outcome) and request.failures):
            assert isinstance(outcome, httpx.Response)
            return outcome
        if not is_passing(error) or attempt == retry.attempts:
            raise error
        if attempt == 1:
            tell(error, retry, url)
        yield Wait(retry.seconds(attempt, retry_after))
        attempt += 1


def late(url: str, timeout: float) -> TimedOut:
    """The error of a URL from which nothing came for some seconds."""
    return TimedOut(f"nothing came from {shown(url)} for {timeout:g} s")


def tell(error: EquipotError, retry: Retry, url: str) -> None:
    """Say that a first attempt has failed, and what becomes of it."""
    if isinstance(error, ServiceError):
        LOG.info("%s: %s; %s", url, error, retry)
    else:
        LOG.warning("%s; %s", error, retry)


def _is_last_word(outcome: Outcome) -> bool:
    return isinstance(outcome, httpx.Response) and outcome.status_code not in BUSY


def failure_of(outcome: Outcome, url: str) -> tuple[EquipotError | None, str | None]:
    """Why there is no answer, and how long to wait then; None where there is one, which may hold
    results with errors only.

    Args:
        outcome: of a request.
        url: of the service, for messages.
    """
    assert outcome is not None
    if isinstance(outcome, httpx.TimeoutException) and not isinstance(
        outcome, httpx.ConnectTimeout
    ):
        return TimedOut(f"{url} did not answer in time ({type(outcome).__name__})"), None
    if isinstance(outcome, httpx.TransportError):
        told = str(outcome) or type(outcome).__name__
        return ConnectionFailed(f"{url} does not answer: {told}"), None
    if outcome.is_success or has_results(outcome):
        return None, None
    return service_error(outcome.status_code, outcome.content), outcome.headers.get("retry-after")


def is_passing(error: EquipotError) -> bool:
    """Whether another attempt may help."""
    if isinstance(error, ServiceError):
        return error.status in BUSY and error.code not in LASTING
    return isinstance(error, ConnectionFailed) and not isinstance(error, TimedOut)


def has_results(response: httpx.Response) -> bool:
    """Whether it is an answer with results, though none of them is good; other errors are JSON."""
    return str(response.headers.get("content-type", "")) == "application/x-msgpack"


def service_error(status: int, body: bytes) -> ServiceError:
    """The error of a response without results."""
    try:
        document: Any = httpx.Response(status, content=body).json()
        told = document["error"]
        return error_of(told["code"], told["message"], status, document.get("request_id"))
    except (ValueError, KeyError, TypeError):
        text = body[:200].decode(errors="replace")
        return ServiceError("internal", f"HTTP status {status}: {text}", status)
