"""A client of the service for programs with an event loop: the same as `Client`, to be awaited."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing
from typing import Any, Self, TypeVar, Unpack

import httpx

from equipot import calls, job
from equipot.client import WINDOW
from equipot.config import DEFAULT_URL, Config, built
from equipot.duplex import Source, exchange_async
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
from equipot.structures import AnyStructure, Item, is_one, items_of, items_of_one
from equipot.tasks import AsyncTaskMethods

T = TypeVar("T")


class AsyncClient(AsyncTaskMethods):
    """`Client` on an event loop of asyncio; arguments, results and errors are the same.

    Use it in `async with`, or `await` its `aclose`.
    """

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
        self.jobs = AsyncJobs(self)
        self._http = httpx.AsyncClient(**self.config.options())

    async def predict(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: bool = False,
        **options: Unpack[AllOptions],
    ) -> Results:
        """See `Client.predict`."""
        return await self._answered(
            list(items_of(structures)), progress, *calls.asked(None, options)
        )

    async def relax(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: bool = False,
        **options: Unpack[RelaxCall],
    ) -> Results:
        """See `Client.relax`."""
        return await self.predict(structures, progress=progress, **calls.relaxing(options))

    def stream(
        self,
        structures: AnyStructure | Iterable[AnyStructure] | AsyncIterable[AnyStructure],
        *,
        window: int = WINDOW,
        task: str | None = None,
        **options: Any,
    ) -> AsyncGenerator[Result, None]:
        """See `Client.stream`; structures may come asynchronously, too."""
        return self._stream(_items(structures), *calls.asked(task, options), window)

    async def task(
        self,
        name: str,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Any,
    ) -> Results:
        """See `Client.task`."""
        items = list(items_of(structures))
        path, asked = calls.asked(calls.named_task(name), options)
        if not calls.is_followed(items, progress):
            return await self._answered(items, progress, path, asked)
        with told(progress) as tell:
            reader = StageReader()
            try:
                async for stage in _read(self, calls.followed(items[0], path, asked), reader.feed):
                    tell(stage)
            except ServiceError:
                return await self.run(calls.predict(items, path, asked))
            return calls.end_of(reader, items[0], self.config.url)

    async def tasks(self) -> list[dict[str, Any]]:
        """See `Client.tasks`."""
        return await self.run(calls.tasks())

    async def models(self) -> list[dict[str, Any]]:
        """See `Client.models`."""
        return await self.run(calls.models())

    async def model(self, name: str) -> dict[str, Any]:
        """See `Client.model`."""
        return await self.run(calls.model(name))

    async def run(self, call: Call[T]) -> T:
        """What a call returns, after as many attempts as it takes."""
        steps, outcome = attempts(call, self.config.retry, self.config.url), None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = await self._done(step)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _answered(
        self, items: list[Item], progress: Progress, path: str, options: Mapping[str, Any]
    ) -> Results:
        if calls.is_small(items) and not progress:
            return await self.run(calls.predict(items, path, options))
        with counted(progress, len(items)) as count:
            async with aclosing(self._stream(_given(items), path, options, WINDOW)) as results:
                found = []
                async for result in results:
                    found.append(result)
                    count()
        return calls.in_order(found)

    async def _done(self, step: Request | Wait) -> Outcome:
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
            return None
        content = step.content if isinstance(step.content, bytes) else _given(step.content())
        try:
            request = built(self._http, step, content)
            response = await self._http.send(request, stream=step.streamed)
            if step.streamed and not response.is_success:
                await response.aread()
            return response
        except httpx.TransportError as error:
            return error

    async def _stream(
        self,
        items: AsyncIterator[Item],
        path: str,
        options: Mapping[str, Any],
        window: int,
    ) -> AsyncGenerator[Result, None]:
        flow, url = self.config.flow(options, window, path), httpx.URL(self.config.url)
        tls, source = self.config.context(), Source(items)
        wait: float | None = 0.0
        try:
            while wait is not None:
                try:
                    async with aclosing(
                        exchange_async(flow, source, url, tls, self.config.timeout)
                    ) as results:
                        async for result in results:
                            yield result
                except OSError as error:
                    flow.broken(error)
                wait = flow.conclude()
                if wait is not None:
                    await asyncio.sleep(wait)
                    flow.begin()
        finally:
            await source.close()


class AsyncJobs:
    """`Jobs`, to be awaited.

    Args:
        client: of the service.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def submit(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        key: str | None = None,
        webhook: str | None = None,
        task: str | None = None,
        **options: Any,
    ) -> Job:
        """See `Jobs.submit`."""
        with job.body_of(structures, options, task) as request:
            return await self._client.run(job.submit(request, key, webhook))

    async def list(self, *, limit: int = 100, state: State | None = None) -> list[Job]:
        """See `Jobs.list`."""
        return await self._client.run(job.listed(limit, state))

    async def get(self, job_: Job | str) -> Job:
        """See `Jobs.get`."""
        return await self._client.run(job.get(job_))

    async def cancel(self, job_: Job | str) -> Job:
        """See `Jobs.cancel`."""
        return await self._client.run(job.cancel(job_))

    async def results(
        self, job_: Job | str, *, offset: int = 0, structures: AnyStructure | None = None
    ) -> AsyncIterator[Result]:
        """See `Jobs.results`."""
        reader = job.ResultReader(offset, structures)
        patience = job.Patience(self._client.config.retry, self._client.config.url)
        while not (now := await self.get(job_)).is_read(reader.at):
            before = reader.at
            reader.begin()
            request = job.results_from(job_, before, "msgpack")
            async for result in _read(self._client, request, reader.feed):
                yield result
            if now.is_over and reader.at == before:
                return
            await asyncio.sleep(patience.seconds(reader.at > before))

    async def download(
        self, job_: Job | str, format_: str = "xyz", *, offset: int = 0
    ) -> AsyncIterator[bytes]:
        """See `Jobs.download`."""
        request = job.results_from(job_, offset, format_)
        async with aclosing(await self._client.run(job.opened(request))) as response:
            try:
                async for data in response.aiter_bytes():
                    yield data
            except httpx.TransportError as error:
                raise job.incomplete(self._client.config.url, error) from error

    async def events(self, job_: Job | str) -> AsyncIterator[Job]:
        """See `Jobs.events`."""
        patience = job.Patience(self._client.config.retry, self._client.config.url)
        last: Job | None = None
        while last is None or not last.is_over:
            before = last
            async for last in _read(self._client, job.events_of(job_), job.EventReader().feed):
                yield last
            await asyncio.sleep(patience.seconds(last is not before))

    async def wait(self, job_: Job | str, *, progress: bool = False) -> Job:
        """See `Jobs.wait`."""
        now = await self.get(job_)
        with bar(progress, now.structures) as shown:
            async for now in self.events(job_):
                shown.move(now.done + now.failed, "; ".join(map(str, now.under_way[:1])))
        return now


async def _read(
    client: AsyncClient, request: Request, feed: Callable[[bytes], Iterator[T]]
) -> AsyncIterator[T]:
    async with aclosing(await client.run(job.opened(request))) as response:
        try:
            async for data in response.aiter_bytes():
                for each in feed(data):
                    yield each
        except httpx.TimeoutException as error:
            raise late(client.config.url, client.config.timeout) from error
        except httpx.TransportError:
            return  # the caller goes on where this ended


async def _given(values: Iterable[T]) -> AsyncIterator[T]:
    for value in values:
        yield value


async def _items(structures: Any) -> AsyncIterator[Item]:
    if not is_one(structures) and isinstance(structures, AsyncIterable):
        async for structure in structures:
            for item in items_of_one(structure):
                yield item
        return
    for item in items_of(structures):
        yield item
