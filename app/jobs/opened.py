"""Jobs with their database open: taken in, shown, cancelled, and their results."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

from app.errors import Unavailable
from app.jobs.background import Background
from app.jobs.database import Database
from app.jobs.folder import JobFolder
from app.jobs.hand_in import HandIn
from app.jobs.housekeeper import Housekeeper
from app.jobs.intake import JobIntake
from app.jobs.job import Job
from app.jobs.leases import Leases
from app.jobs.metrics import JobMetrics
from app.jobs.pace import Paces
from app.jobs.results import JobResults
from app.jobs.runner import Runner
from app.jobs.schemas import JobOut
from app.jobs.shown import DAY, shown
from app.jobs.store import JobStore
from app.jobs.submission import Submission
from app.jobs.upkeep import Upkeep
from app.jobs.webhooks import Webhooks
from app.service.service import Service

FOLLOW = 0.5
"""Seconds between two looks at a job that is followed."""
SILENT = 15.0
"""Seconds after which one who follows a job is told that nothing has changed."""


class OpenJobs:
    """The jobs of a service, on its event loop; made on another thread, since that blocks.

    Args:
        service: which answers them.

    Attributes:
        intake: takes new ones in.
        results: gives them out.
        webhooks: are told of ends.

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
        self._background = Background()
        self.threaded = self._background.threaded
        self.webhooks = Webhooks(settings.webhook_private, settings.keep_jobs_days)
        paces = Paces(self._database)
        self.intake = JobIntake(
            service, self._store, self._folder, paces, self.webhooks, self._background
        )
        self.results = JobResults(self._store, self._folder, service, self._background)
        leases = Leases(self._database, uuid.uuid4().hex, settings.job_lease)
        hand_in, metrics = HandIn(leases, self._folder), JobMetrics(service.metrics.registry)
        keep = settings.keep_jobs_days * DAY
        upkeep = Upkeep(self._database, self._store, self._folder, keep, settings.max_jobs_bytes)
        self._housekeeper = Housekeeper(
            *(upkeep, leases, hand_in, self.webhooks, metrics, self._background)
        )
        self._runner = Runner(
            *(service, self._store, leases, self._folder, hand_in, paces),
            *(self._housekeeper, metrics, self._background, settings.job_lease),
        )

    def start(self) -> None:
        """Begin to work, on the event loop that this is called on."""
        self._runner.start()
        self._housekeeper.start()

    async def stop(self) -> None:
        """Keep how far all jobs are, and end."""
        await self._runner.stop()
        self._background.close()
        self._database.close()

    async def submit(self, asked: Submission) -> JobOut:
        """Take a job in, as for `JobIntake.submit`."""
        taken = await self.intake.submit(asked)
        self._runner.wake()
        return shown(taken, self._settings.keep_jobs_days, with_secret=True)

    async def job(self, id_: str, owner: str | None = None) -> Job:
        """A job as it is now.

        Args:
            id_: of the job.
            owner: the key whose job it has to be; None for anybody's.

        Raises:
            UnknownJob: there is none of this id, or it is another one's.
        """
        return await self.threaded(self._store.get, id_, owner)

    def shown(self, job: Job) -> JobOut:
        """A job as others see it."""
        return shown(job, self._settings.keep_jobs_days)

    async def listed(
        self, most: int, before: float | None, state: str | None, owner: str | None = None
    ) -> list[JobOut]:
        """The newest jobs, newest first.

        Args:
            most: so many.
            before: those created before this moment only, in seconds since 1970.
            state: those in this state only.
            owner: those of this key only.
        """
        found = await self.threaded(self._store.listed, most, before, state, owner)
        return [self.shown(job) for job in found]

    async def cancel(self, id_: str, owner: str | None = None) -> JobOut:
        """End a job; one that has ended stays as it is.

        Args:
            id_: of the job.
            owner: the key whose job it has to be; None for anybody's.

        Raises:
            UnknownJob: there is none of this id, or it is another one's.
        """
        await self.job(id_, owner)
        await self.threaded(self._store.cancel, id_)
        await self._runner.drop(id_)
        self._runner.wake()
        return self.shown(await self.job(id_))

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
