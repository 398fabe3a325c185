"""Jobs with their database open: taken in, shown, cancelled, and their results."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ParamSpec, TypeVar

from app.errors import Unavailable
from app.jobs.database import Database
from app.jobs.folder import JobFolder
from app.jobs.intake import JobIntake
from app.jobs.job import Job
from app.jobs.leases import Leases
from app.jobs.options import model_of, request_of
from app.jobs.records import unpack_records
from app.jobs.runner import Runner
from app.jobs.schemas import JobOut
from app.jobs.shown import DAY, shown
from app.jobs.store import JobStore
from app.jobs.submission import Submission
from app.jobs.upkeep import Upkeep
from app.jobs.webhooks import Webhooks
from app.protocol.response import PredictResponse
from app.service.service import Service

THREADS = 4
FOLLOW = 0.5
"""Seconds between two looks at a job that is followed."""
SILENT = 15.0
"""Seconds after which one who follows a job is told that nothing has changed."""

P = ParamSpec("P")
T = TypeVar("T")


class OpenJobs:
    """The jobs of a service, on its event loop; made on another thread, since that blocks.

    Args:
        service: which answers them.

    Attributes:
        intake: takes new ones in.

    Raises:
        Unavailable: there is no folder for them, or it or the database cannot be used.
    """

    def __init__(self, service: Service) -> None:
        settings = service.settings
        if settings.jobs_folder is None:
            raise Unavailable("jobs are turned off: EQUIPOT_JOBS_FOLDER is empty")
        try:
            self._folder = JobFolder(settings.jobs_folder)
        except OSError as error:
            raise Unavailable(
                f"the folder of jobs (EQUIPOT_JOBS_FOLDER), {settings.jobs_folder}, cannot be "
                f"used: {error.strerror}"
            ) from None
        self._service, self._settings = service, settings
        self._database = Database(settings.database, settings.jobs_folder)
        self._store = JobStore(self._database, self._folder.id)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="jobs")
        self.webhooks = Webhooks(settings.webhook_private, settings.keep_jobs_days)
        leases = Leases(self._database, uuid.uuid4().hex, settings.job_lease)
        keep = settings.keep_jobs_days * DAY
        self._upkeep = Upkeep(
            self._database, self._store, self._folder, keep, settings.max_jobs_bytes
        )
        self._runner = Runner(
            *(service, self._store, leases, self._folder, self._upkeep, self.webhooks),
            *(settings.job_lease, self._pool),
        )
        self.intake = JobIntake(service, self._store, self._folder, self.webhooks, self.threaded)

    def start(self) -> None:
        """Begin to work, on the event loop that this is called on."""
        self._runner.start()

    async def stop(self) -> None:
        """Keep how far all jobs are, and end."""
        await self._runner.stop()
        self._pool.shutdown()
        self._database.close()

    async def threaded(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of work that blocks."""
        return await self._runner.threaded(work, *args, **kwargs)

    async def submit(self, asked: Submission) -> JobOut:
        """Take a job in, as for `JobIntake.submit`."""
        taken = await self.intake.submit(asked)
        self._runner.wake()
        return shown(taken, self._settings.keep_jobs_days, with_secret=True)

    async def job(self, id_: str) -> Job:
        """A job as it is now.

        Raises:
            UnknownJob: there is none of this id.
        """
        return await self.threaded(self._store.get, id_)

    def shown(self, job: Job) -> JobOut:
        """A job as others see it."""
        return shown(job, self._settings.keep_jobs_days)

    async def listed(self, most: int, before: float | None, state: str | None) -> list[JobOut]:
        """The newest jobs, newest first.

        Args:
            most: so many.
            before: those created before this moment only, in seconds since 1970.
            state: those in this state only.
        """
        found = await self.threaded(self._store.listed, most, before, state)
        return [self.shown(job) for job in found]

    async def cancel(self, id_: str) -> JobOut:
        """End a job; one that has ended stays as it is.

        Raises:
            UnknownJob: there is none of this id.
        """
        job = await self.threaded(self._store.cancel, id_)
        self._runner.drop(id_)
        self._runner.wake()
        return self.shown(job)

    async def results(self, job: Job, start: int, stop: int) -> PredictResponse:
        """Results of structures from `start` to `stop`, in order, as far as they are there."""
        return await self.threaded(self._results, job, start, stop)

    async def all_results(self, job: Job, start: int) -> AsyncIterator[PredictResponse]:
        """Results from a structure on in order, chunk by chunk, as soon as they are there."""
        at = start
        while at < job.structures:
            files = await self.threaded(self._store.result_files, job.id, at, at + 1)
            if files:
                stop = files[0].first + files[0].structures
                yield await self.results(job, at, stop)
                at = stop
            elif not job.is_open or self._service.models.state == "stopping":
                return
            else:
                await asyncio.sleep(FOLLOW)
                job = await self.job(job.id)

    async def followed(self, id_: str) -> AsyncIterator[JobOut | None]:
        """A job as it is now, and whenever that has changed, until it ends; None where it has not
        for long.

        Raises:
            UnknownJob: it was removed.
        """
        last: Job | None = None
        silent = 0.0
        while self._service.models.state != "stopping":
            job = await self.job(id_)
            seen = replace(job, now=0.0, rate=None)
            if seen != last:
                last, silent = seen, 0.0
                yield self.shown(job)
            elif silent >= SILENT:
                silent = 0.0
                yield None
            if not job.is_open:
                return
            await asyncio.sleep(FOLLOW)
            silent += FOLLOW

    def _results(self, job: Job, start: int, stop: int) -> PredictResponse:
        records = []
        for file in self._store.result_files(job.id, start, stop):
            data = self._folder.results(job.id, file.name).read_bytes()
            begin, end = max(0, start - file.first), max(0, stop - file.first)
            records += unpack_records(data, begin, end)
        request = request_of(job, [record.entry for record in records])
        return PredictResponse(model_of(job), request, [record.result for record in records])
