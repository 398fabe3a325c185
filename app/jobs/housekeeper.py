"""The housekeeper: ends jobs, tells webhooks of their ends, and removes what is outdated."""

import logging

from app.jobs.background import Background
from app.jobs.hand_in import HandIn
from app.jobs.leases import Leases
from app.jobs.metrics import JobMetrics
from app.jobs.upkeep import Upkeep
from app.jobs.webhooks import Webhooks

POLL = 1.0
"""Seconds between two looks for webhooks that are to be told."""
UPKEEP = 60.0
"""Seconds between two searches for what is to be removed."""
COUNT = 5.0
"""Seconds between two counts of what there is."""

log = logging.getLogger(__name__)


class Housekeeper:
    """Looks after jobs that have ended, on an event loop.

    Args:
        upkeep: does so.
        leases: the chunks of those that have not.
        hand_in: hands in what is left of those that were cancelled.
        webhooks: are told.
        metrics: counts.
        background: loops and threads.
    """

    def __init__(
        self,
        upkeep: Upkeep,
        leases: Leases,
        hand_in: HandIn,
        webhooks: Webhooks,
        metrics: JobMetrics,
        background: Background,
    ) -> None:
        self._upkeep, self._leases, self._hand_in = upkeep, leases, hand_in
        self._webhooks, self._metrics, self._background = webhooks, metrics, background

    def start(self) -> None:
        """Begin, on the event loop that this is called on."""
        for step, seconds in ((self._tell, POLL), (self._tidy, UPKEEP), (self._count, COUNT)):
            self._background.repeat(step, seconds)

    def end_jobs(self) -> None:
        """End the jobs all of whose chunks are done; blocks."""
        for job in self._leases.end_jobs():
            self._upkeep.tidy(job)
            log.info("job %s is done", job)

    async def _tell(self) -> None:
        """Tell webhooks of jobs that have ended."""
        threaded = self._background.threaded
        while job := await threaded(self._upkeep.next_webhook):
            succeeded = await threaded(self._webhooks.tell, job)
            self._metrics.told(succeeded)
            await threaded(self._upkeep.told, job.id, succeeded)

    async def _tidy(self) -> None:
        """End what nobody ended, and remove what is outdated."""
        await self._background.threaded(self._tidied)

    def _tidied(self) -> None:
        self.end_jobs()
        for job in self._upkeep.abandoned():
            self._hand_in.adopt(job)
            self._upkeep.tidy(job)
        for job in self._upkeep.remove_outdated():
            log.info("job %s is removed", job)

    async def _count(self) -> None:
        """Count jobs and structures, for the metrics."""
        self._metrics.counted(await self._background.threaded(self._upkeep.census))
