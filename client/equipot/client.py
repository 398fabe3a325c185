"""A client of the service that waits for its answers; many threads may share one."""

import os
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, Self, TypeVar, Unpack

import httpx

from equipot import calls, job
from equipot.config import DEFAULT_URL, Config, built
from equipot.duplex import exchange
from equipot.errors import ServiceError
from equipot.job import Job, State
from equipot.options import (
    AllOptions,
    RelaxCall,
)
from equipot.progress import bar, counted, told
from equipot.request import Call, Outcome, Request, Retry, Wait, attempts, late
from equipot.results import Result, Results
from equipot.stages import Progress, StageReader
from equipot.structures import AnyStructure, Item, items_of
from equipot.tasks import TaskMethods

T = TypeVar("T")
WINDOW = 1024
"""Structures of a stream that are under way at a time."""


class Client(TaskMethods):
    """A service, asked over HTTP.

    Structures are ASE's `Atoms`, pymatgen's `Structure` and `Molecule`, RDKit's molecules, names of
    files in any format that the service reads, SMILES (as text or `Smiles`), and dicts of the
    service's own fields. One that cannot be answered has its error as its result, and costs the
    others nothing.

    Connections are kept and shared by all threads. A copy, or what is unpickled in another process,
    makes its own.

    Args:
        url: of the service.
        api_key: that lets it in, where the service wants one; default: `EQUIPOT_API_KEY` of the
            environment. A pickled client has it in it.
        timeout: seconds without a byte, after which `TimedOut` is raised.
        retry: when a request is sent again.
        headers: of every request.
        verify: whether certificates are checked, or the file of those that are trusted.

    Attributes:
        jobs: large requests that are answered in their own time.

    Raises:
        ValueError: the URL is none of HTTP, or the key cannot stand in a header.
    """

    _opened: "_Opened | None"

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout: float = 600.0,
        retry: Retry | None = None,
        headers: Mapping[str, str] | None = None,
        verify: bool | str = True,
    ) -> None:
        given = (url, timeout, retry or Retry(), dict(headers or {}), verify)
        self.config = Config(*given) if api_key is None else Config(*given, api_key)
        self._begin()

    def predict(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: bool = False,
        **options: Unpack[AllOptions],
    ) -> Results:
        """Energies, forces and stress, in the order asked; relaxed structures where `relax` asks.

        Args:
            structures: one or many.
            progress: whether a bar says how far it is.
            options: what is asked of all.

        Raises:
            ServiceError: nothing is answered: unknown model, wrong option.
            ConnectionFailed: the service cannot be reached.
        """
        return self._answered(list(items_of(structures)), progress, *calls.asked(None, options))

    def relax(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: bool = False,
        **options: Unpack[RelaxCall],
    ) -> Results:
        """Relaxed structures, in the order asked; options say how to relax, and what `predict` takes.

        Raises:
            EquipotError: as `predict`.
        """
        return self.predict(structures, progress=progress, **calls.relaxing(options))

    def stream(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        window: int = WINDOW,
        task: str | None = None,
        **options: Any,
    ) -> Generator[Result, None, None]:
        """Results as they finish, in no order, while structures are still taken: of any number, with
        `window` of them in memory at most. Take results steadily: the service leaves a reader that
        takes nothing for long. Proxies of the environment are not used.

        Args:
            structures: one or many.
            window: the most of them that are under way.
            task: name of a task that is asked for in the place of predictions.
            options: as those of `predict`, or of `task`.

        Raises:
            EquipotError: as `predict`; what has been given before stays right.
        """
        return self._stream(items_of(structures), *calls.asked(task, options), window)

    def task(
        self,
        name: str,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Any,
    ) -> Results:
        """What a whole task finds for each structure: `value` of each result, beside the relaxed
        structure and its numbers.

        Args:
            name: of the task, as `tasks` has it.
            structures: one or many.
            progress: whether a bar says how far it is, or who is told: of one structure the stages of
                its task, of several how many are done.
            options: the task's own, and what `predict` takes but for `properties` and `relax`.

        Raises:
            UnknownTask: the service has none of this name.
            EquipotError: as `predict`.
        """
        items = list(items_of(structures))
        path, asked = calls.asked(calls.named_task(name), options)
        if not calls.is_followed(items, progress):
            return self._answered(items, progress, path, asked)
        with told(progress) as tell:
            reader = StageReader()
            try:
                for stage in _read(self, calls.followed(items[0], path, asked), reader.feed):
                    tell(stage)
            except ServiceError:
                return self.run(calls.predict(items, path, asked))  # says what it is an error of
            return calls.end_of(reader, items[0], self.config.url)

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks of the service, with the schemas of their options and of what they find."""
        return self.run(calls.tasks())

    def models(self) -> list[dict[str, Any]]:
        """All models of the store, served or refused, with the reason."""
        return self.run(calls.models())

    def model(self, name: str) -> dict[str, Any]:
        """What a model, `name` or `name@version`, is for (`summary`), and its whole `card`.

        Raises:
            UnknownModel: none of this name is served.
        """
        return self.run(calls.model(name))

    def run(self, call: Call[T]) -> T:
        """What a call returns, after as many attempts as it takes."""
        steps, outcome = attempts(call, self.config.retry, self.config.url), None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = self._done(step)

    def close(self) -> None:
        """Close all connections; the client may still be used, and makes new ones."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> Config:
        """All but open connections, which belong to a process."""
        return self.config

    def __setstate__(self, config: Config) -> None:
        """Begin without connections."""
        self.config = config
        self._begin()

    def _begin(self) -> None:
        self.jobs = Jobs(self)
        self._lock = threading.Lock()
        self._opened = None

    @property
    def http(self) -> httpx.Client:
        """The connections of this process."""
        with self._lock:
            if self._opened is None or not self._opened.is_ours:
                self._opened = _Opened(self.config)
                weakref.finalize(self, self._opened.close)
            return self._opened.http

    def _answered(
        self, items: list[Item], progress: Progress, path: str, options: Mapping[str, Any]
    ) -> Results:
        """The results of all structures, in the order asked, in one request or as a stream."""
        if calls.is_small(items) and not progress:
            return self.run(calls.predict(items, path, options))
        with (
            counted(progress, len(items)) as count,
            closing(self._stream(iter(items), path, options, WINDOW)) as results,
        ):
            return calls.in_order(_counted(results, count))

    def _done(self, step: Request | Wait) -> Outcome:
        if isinstance(step, Wait):
            time.sleep(step.seconds)
            return None
        content = step.content if isinstance(step.content, bytes) else step.content()
        try:
            response = self.http.send(built(self.http, step, content), stream=step.streamed)
            if step.streamed and not response.is_success:
                response.read()
            return response
        except httpx.TransportError as error:
            return error

    def _stream(
        self,
        items: Iterator[Item],
        path: str,
        options: Mapping[str, Any],
        window: int,
    ) -> Generator[Result, None, None]:
        flow, url = self.config.flow(options, window, path), httpx.URL(self.config.url)
        tls = self.config.context()
        while True:
            try:
                yield from exchange(flow, items, url, tls, self.config.timeout)
            except OSError as error:
                flow.broken(error)
            wait = flow.conclude()
            if wait is None:
                return
            time.sleep(wait)
            flow.begin()


class _Opened:
    """Connections, and the process to which they belong."""

    def __init__(self, config: Config) -> None:
        self.http, self._process = httpx.Client(**config.options()), os.getpid()

    @property
    def is_ours(self) -> bool:
        """Whether this is the process that opened them, and no fork of it."""
        return self._process == os.getpid()

    def close(self) -> None:
        """Close them, which is not for a fork to do."""
        if self.is_ours:
            self.http.close()


class Jobs:
    """Large requests that are answered in their own time, and outlive client and service.

    Args:
        client: of the service.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        key: str | None = None,
        webhook: str | None = None,
        task: str | None = None,
        **options: Any,
    ) -> Job:
        """Have structures answered: in memory, from an iterator, or of a file of any size.

        Args:
            structures: one or many.
            key: who submits the same with the same key gets the same job.
            webhook: URL that is told of the end; its secret is in `Job.fields`.
            task: name of a task that is asked for in the place of predictions.
            options: as those of `Client.predict`, or of `task`.

        Raises:
            ServiceError: a structure cannot be sent, or the service refuses the job; there is none.
        """
        with job.body_of(structures, options, task) as request:
            return self._client.run(job.submit(request, key, webhook))

    def list(self, *, limit: int = 100, state: State | None = None) -> list[Job]:
        """The newest jobs, newest first."""
        return self._client.run(job.listed(limit, state))

    def get(self, job_: Job | str) -> Job:
        """How far a job is.

        Raises:
            UnknownJob: there is none of this id.
        """
        return self._client.run(job.get(job_))

    def cancel(self, job_: Job | str) -> Job:
        """End a job; what it has of results stays."""
        return self._client.run(job.cancel(job_))

    def results(
        self, job_: Job | str, *, offset: int = 0, structures: AnyStructure | None = None
    ) -> Iterator[Result]:
        """Results in the order of the structures, as they come, until the job ends.

        Args:
            job_: or its id.
            offset: number of the first one.
            structures: what was submitted; then results know their `atoms`.
        """
        reader = job.ResultReader(offset, structures)
        patience = job.Patience(self._client.config.retry, self._client.config.url)
        while not (now := self.get(job_)).is_read(reader.at):
            before = reader.at
            reader.begin()
            yield from _read(self._client, job.results_from(job_, before, "msgpack"), reader.feed)
            if now.is_over and reader.at == before:
                return
            time.sleep(patience.seconds(reader.at > before))

    def download(
        self, job_: Job | str, format_: str = "xyz", *, offset: int = 0
    ) -> Iterator[bytes]:
        """Results as they come, as the bytes of a file in a format that the service writes.

        Raises:
            ConnectionFailed: the connection ended before the results did; go on with an `offset`.
        """
        request = job.results_from(job_, offset, format_)
        with closing(self._client.run(job.opened(request))) as response:
            try:
                yield from response.iter_bytes()
            except httpx.TransportError as error:
                raise job.incomplete(self._client.config.url, error) from error

    def events(self, job_: Job | str) -> Iterator[Job]:
        """The job as it is now, and whenever that has changed, until it ends."""
        patience = job.Patience(self._client.config.retry, self._client.config.url)
        last: Job | None = None
        while last is None or not last.is_over:
            before = last
            for last in _read(self._client, job.events_of(job_), job.EventReader().feed):
                yield last
            time.sleep(patience.seconds(last is not before))

    def wait(self, job_: Job | str, *, progress: bool = False) -> Job:
        """The job, once it has ended; `progress` shows a bar."""
        now = self.get(job_)
        with bar(progress, now.structures) as shown:
            for now in self.events(job_):
                shown.move(now.done + now.failed, "; ".join(map(str, now.under_way[:1])))
        return now


def _read(client: Client, request: Request, feed: Callable[[bytes], Iterator[T]]) -> Iterator[T]:
    """What a response says as it comes, as far as the connection holds."""
    with closing(client.run(job.opened(request))) as response:
        try:
            for data in response.iter_bytes():
                yield from feed(data)
        except httpx.TimeoutException as error:
            raise late(client.config.url, client.config.timeout) from error
        except httpx.TransportError:
            return  # the caller goes on where this ended


def _counted(results: Iterator[Result], count: Callable[[], None]) -> Iterator[Result]:
    for result in results:
        count()
        yield result
