"""Results of jobs: pages, and all of them as they come."""

import asyncio
from collections.abc import AsyncIterator

from app.errors import Cancelled, Unavailable
from app.jobs.background import Background
from app.jobs.folder import JobFolder
from app.jobs.job import Job, ResultFile
from app.jobs.kept import Kept
from app.jobs.options import Body, request_of
from app.jobs.records import Record, unpack_packed, unpack_records
from app.jobs.store import JobStore
from app.protocol.request import Entry
from app.protocol.response import PredictResponse
from app.service.options import request_limits
from app.service.service import Service

FOLLOW = 0.5
"""Seconds between two looks at what is there."""


class JobResults:
    """The results of jobs; those of a chunk under way as far as they are kept.

    Args:
        store: the jobs.
        folder: their files.
        service: says when it is to end, and what a part may hold.
        background: threads for what blocks.
    """

    def __init__(
        self, store: JobStore, folder: JobFolder, service: Service, background: Background
    ) -> None:
        self._store, self._folder, self._service = store, folder, service
        self._threaded = background.threaded

    async def page(self, job: Job, start: int, stop: int) -> PredictResponse:
        """Results of structures from `start` to `stop`, in order, as far as they are there."""
        return await self._threaded(self._page, job, start, stop)

    async def all(self, job: Job, start: int) -> AsyncIterator[PredictResponse]:
        """Results from a structure on in order, as soon as they are there.

        Raises:
            Cancelled: the job was cancelled meanwhile.
            Unavailable: the service is to end before the job does.
            UnknownJob: it was removed.
        """
        was_open, at = job.is_open, start
        while True:
            page = await self._threaded(self._next, job, at)
            if page.results:
                yield page
                at += len(page.results)
                continue
            if not job.is_open:
                break
            if self._service.models.state == "stopping":
                raise Unavailable(f"the service is shutting down; go on with offset={at}")
            await asyncio.sleep(FOLLOW)
            job = await self._threaded(self._store.get, job.id)
        if was_open and job.state == "cancelled":
            raise Cancelled(f"the job was cancelled; {job.left} structures have no result")

    async def sample(self, job: Job) -> list[Entry]:
        """Some of the structures of a job, whether or not they have results."""
        return await self._threaded(self._sample, job)

    def _sample(self, job: Job) -> list[Entry]:
        if entries := self._next(job, 0).request.entries:
            return entries
        part = self._store.first_part(job.id)
        try:
            items = self._folder.read_input(job.id, part.start, part.stop)
        except FileNotFoundError:  # the job has ended, and nothing came of it
            return []
        limits = request_limits(self._service.settings)
        return Body(job.kind, job.query, job.prefix, limits).entries(part, items)

    def _next(self, job: Job, start: int) -> PredictResponse:
        """Results of one chunk, as far as they are there."""
        files = self._store.result_files(job.id, start, start + 1)
        stop = files[0].first + files[0].structures if files else start
        return self._page(job, start, stop)

    def _page(self, job: Job, start: int, stop: int) -> PredictResponse:
        records: list[Record] = []
        for file in self._files(job, start, stop):
            records += self._records(job, file, max(0, start - file.first), stop - file.first)
        request = request_of(job, [record.entry for record in records])
        return PredictResponse(job.only, request, [record.result for record in records])

    def _files(self, job: Job, start: int, stop: int) -> list[ResultFile]:
        files = self._store.result_files(job.id, start, stop)
        last = files[-1] if files else None
        if last is None or last.name or self._folder.work(job.id, last.number).exists():
            return files
        return self._store.result_files(job.id, start, stop)  # it may be complete meanwhile

    def _records(self, job: Job, file: ResultFile, begin: int, end: int) -> list[Record]:
        if file.name is not None:
            data = self._folder.results(job.id, file.name).read_bytes()
            return unpack_records(data, begin, end)
        kept = Kept.read(self._folder.work(job.id, file.number), with_states=False)
        return unpack_packed(kept.leading[begin:end])
