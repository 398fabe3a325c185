"""Jobs: what a service says of them, how they are submitted, and their results as they come."""

import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, Self, TypeAlias

import httpx

from equipot.arrays import check_options, pack, unpacker
from equipot.calls import MSGPACK, named_task, of_task
from equipot.errors import ConnectionFailed, UnknownJob
from equipot.files import format_of, is_packed
from equipot.options import query_of
from equipot.request import Call, Request, Retry, shown
from equipot.results import Model, Result
from equipot.stages import Stage, events
from equipot.structures import AnyStructure, Item, items_of

State: TypeAlias = Literal["queued", "running", "done", "cancelled"]
XYZ = "chemical/x-xyz"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The id of a job."""
PART = 1 << 20
"""Bytes that are read from a file at a time."""
MOST = 2**32 - 1
"""Structures of a body."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job: how far it is.

    Attributes:
        id: of the job.
        state: a job with failures is `done`, too.
        model: that answers all; None where each structure has one of `models`.
        models: that answer.
        task: that is asked for; None where predictions are.
        structures: of the job; `done` with an answer, `failed` with an error, `left` with neither.
        rate: structures a second, of late.
        eta_seconds: until the end at this rate.
        estimate_seconds: of the whole, as it was known at the start.
        created: when.
        started: when; None before.
        ended: when; None before.
        under_way: how far a task is with some of its structures, while it runs.
        fields: all that the service says.
    """

    id: str
    state: State
    model: Model | None
    models: tuple[Model, ...]
    task: str | None
    structures: int
    done: int
    failed: int
    left: int
    rate: float | None
    eta_seconds: float | None
    estimate_seconds: float | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    under_way: tuple[Stage, ...]
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.state in ("done", "cancelled")

    def is_read(self, count: int) -> bool:
        """Whether so many results are all that it will have."""
        return count >= self.structures

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """That of the service's fields."""
        same = ("id", "state", "structures", "done", "failed", "left", "rate", "eta_seconds")
        return cls(
            **{name: fields[name] for name in same},
            started=_moment(fields["started"]),
            ended=_moment(fields["ended"]),
            model=Model.of(fields["model"]),
            models=tuple(Model(**each) for each in fields.get("models") or [fields["model"]]),
            task=fields.get("task"),
            estimate_seconds=fields["estimate"]["seconds"],
            created=datetime.fromisoformat(fields["created"]),
            under_way=tuple(map(Stage.of, fields.get("under_way") or ())),
            fields=fields,
        )


def name_of(job: Job | str) -> str:
    """The id of a job, however it is given, as a part of a path.

    Raises:
        UnknownJob: that is none.
    """
    name = job.id if isinstance(job, Job) else job
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UnknownJob(
            "unknown_job", f"no job '{name!s:.80}'; its id is what `POST /jobs` answered"
        )
    return name


@contextmanager
def body_of(
    structures: AnyStructure, options: Mapping[str, Any], task: str | None = None
) -> Iterator[Request]:
    """What submits structures: one file of XYZ as it is, else MessagePack, which is kept in a file
    until it is sent.

    Args:
        structures: one or many.
        options: what is asked of them; of a task, its own beside those of its request.
        task: name of one, which is asked for in the place of predictions.

    Raises:
        UnknownTask: that is no name of a task.
        InvalidRequest: an option is nothing that can be sent.
        ServiceError: a structure cannot be sent; nothing is submitted.
        ValueError: there is none.
    """
    named = {} if task is None else {"task": named_task(task)}
    if task is None:
        check_options(options)
    else:
        options = of_task(options)
    if (path := _xyz_file(structures)) is not None:
        with path.open("rb") as file:
            yield submission(XYZ, {**named, **query_of(options)}, file)
        return
    with tempfile.TemporaryFile() as file:
        count = _spool(items_of(structures), file)
        asked = {name: value for name, value in options.items() if value is not None}
        head = bytes([0xDE]) + (len(asked) + 1).to_bytes(2, "big")
        head += b"".join(pack(name) + pack(value) for name, value in asked.items())
        head += pack("structures") + bytes([0xDD]) + count.to_bytes(4, "big")
        yield submission(MSGPACK, named, file, head)


def submission(kind: str, query: Mapping[str, str], file: IO[bytes], head: bytes = b"") -> Request:
    """What submits a body: what stands before a file, and the file."""
    return Request("POST", "/jobs", query, {"Content-Type": kind}, partial(_parts, head, file))


def submit(request: Request, key: str | None, webhook: str | None) -> Call[Job]:
    """Submit a body; who sends the same key again gets the same job."""
    headers = {**request.headers, "Idempotency-Key": key or uuid.uuid4().hex}
    query = {**request.query, **({"webhook": webhook} if webhook else {})}
    response = yield Request("POST", "/jobs", query, headers, request.content)
    return Job.of(response.json())


def get(job: Job | str) -> Call[Job]:
    """How far it is."""
    response = yield Request("GET", f"/jobs/{name_of(job)}")
    return Job.of(response.json())


def cancel(job: Job | str) -> Call[Job]:
    """End it."""
    response = yield Request("DELETE", f"/jobs/{name_of(job)}")
    return Job.of(response.json())


def listed(limit: int, state: State | None) -> Call[list[Job]]:
    """The newest ones, newest first."""
    query = {"limit": str(limit), **({"state": state} if state else {})}
    response = yield Request("GET", "/jobs", query)
    return [Job.of(fields) for fields in response.json()["jobs"]]


def results_from(job: Job | str, offset: int, format_: str) -> Request:
    """What asks for results as they come, in the order of the structures."""
    query = {"stream": "true", "offset": str(offset), "format": format_}
    return Request("GET", f"/jobs/{name_of(job)}/results", query, streamed=True)


def events_of(job: Job | str) -> Request:
    """What asks for the course."""
    return Request("GET", f"/jobs/{name_of(job)}/events", streamed=True)


def opened(request: Request) -> Call[httpx.Response]:
    """A response whose body is read as it comes."""
    response = yield request
    return response


def incomplete(url: str, error: httpx.TransportError) -> ConnectionFailed:
    """Why a file of results of a service is not whole."""
    return ConnectionFailed(
        f"{shown(url)}: the answer ends early; the service has ended, or the job was cancelled "
        f"({error}); go on with the offset of what is missing"
    )


class Patience:
    """How often a response that is read as it comes may end with nothing new before its time.

    Args:
        retry: what is allowed.
        url: of the service, for messages.
    """

    def __init__(self, retry: Retry, url: str) -> None:
        self._retry, self._url, self._idle = retry, shown(url), 0

    def seconds(self, has_moved: bool) -> float:
        """To wait before the next connection.

        Raises:
            ConnectionFailed: too many have said nothing new.
        """
        self._idle = 0 if has_moved else self._idle + 1
        if self._idle == self._retry.attempts:
            raise ConnectionFailed(
                f"{self._url}: the connection ended again and again before the job did"
            )
        return self._retry.seconds(self._idle) if self._idle else 0.0


class ResultReader:
    """Reads results of a job, over as many connections as it takes.

    Args:
        offset: number of the first one.
        structures: what was submitted, from the first one on, where `Result.atoms` is to be known.
    """

    def __init__(self, offset: int, structures: AnyStructure | None) -> None:
        self.at = offset
        self._items = None if structures is None else items_of(structures)
        for _ in range(offset if self._items is not None else 0):
            self._sent()
        self.begin()

    def begin(self) -> None:
        """Begin with a new connection, which starts with the result `at`."""
        self._unpacker = unpacker()

    def feed(self, data: bytes) -> Iterator[Result]:
        """Results in what has come."""
        self._unpacker.feed(data)
        for document in self._unpacker:
            model = Model.of(document["model"])
            for fields in document["results"]:
                sent = self._sent()
                self.at += 1
                yield Result.of(fields, self.at - 1, model, sent)

    def _sent(self) -> Mapping[str, Any] | None:
        if self._items is None:
            return None
        item = next(self._items, None)
        if item is None or not item.single:
            raise ValueError("structures: each one must have one result, as it was submitted")
        return item.fields


class EventReader:
    """Reads server-sent events."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Job]:
        """Jobs in what has come."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for _, fields in events(iter(lines)):
            yield Job.of(fields)


def _xyz_file(structures: Any) -> Path | None:
    if not isinstance(structures, str | Path):
        return None
    path = Path(structures)
    return path if format_of(path) == "xyz" and not is_packed(path) else None


def _spool(items: Iterator[Item], file: IO[bytes]) -> int:
    count = 0
    for item in items:
        if item.error is not None:
            raise item.error
        file.write(pack(dict(item.fields)))
        count += 1
    if not 0 < count <= MOST:
        raise ValueError(f"structures: {count}; 1 to {MOST} are expected")
    return count


def _parts(head: bytes, file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    yield head
    while part := file.read(PART):
        yield part


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
