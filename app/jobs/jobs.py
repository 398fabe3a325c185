"""Jobs: those of a service, whose database is opened when there is one or the first one comes.

A server without jobs so loads no database, and starts as quickly as before.
"""

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING

from app.errors import Unavailable
from app.service.service import Service

if TYPE_CHECKING:
    from app.jobs.opened import OpenJobs

log = logging.getLogger(__name__)


class Jobs:
    """The jobs of one service, on its event loop.

    Args:
        service: which answers them.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._opening = asyncio.Lock()
        self._opened: OpenJobs | None = None
        self._is_closed = False

    async def start(self) -> None:
        """Go on with the jobs that are there, if any may be."""
        settings = self._service.settings
        folder = settings.jobs_folder
        if folder is None:
            return
        shared = settings.database or settings.processes > 1  # others may take the first one in
        if not (shared or (folder / "jobs.db").exists()):
            return
        try:
            await self.open()
        except Unavailable as error:
            log.error("jobs cannot be taken: %s", error)

    async def open(self) -> "OpenJobs":
        """The jobs, with their database open.

        Raises:
            Unavailable: they are turned off, or folder or database cannot be used; says why.
        """
        async with self._opening:
            if self._is_closed:
                raise Unavailable("the service is shutting down")
            if self._opened is None:
                opened = await asyncio.to_thread(_open, self._service)
                Context().run(opened.start)  # its tasks outlive the request that it came with
                self._opened = opened
            return self._opened

    async def stop(self) -> None:
        """Keep how far all jobs are, and end."""
        async with self._opening:
            self._is_closed = True
            if self._opened is not None:
                await self._opened.stop()


def _open(service: Service) -> "OpenJobs":
    logging.getLogger("alembic").setLevel(logging.WARNING)  # of each of its plugins, a line
    try:
        from app.jobs.opened import OpenJobs
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "app":
            raise
        raise Unavailable(f"jobs need {error.name}: pip install 'equipot[serve]'") from None
    return OpenJobs(service)
