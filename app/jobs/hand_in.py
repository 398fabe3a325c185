"""Handing in: results of chunks become files, which count once their rows name them."""

import logging
import uuid

from app.jobs.folder import JobFolder, write
from app.jobs.kept import Kept
from app.jobs.leases import Lease, Leases, Place, Progress

log = logging.getLogger(__name__)


class HandIn:
    """Hands results in. Its methods block.

    Args:
        leases: the chunks.
        folder: the files.
    """

    def __init__(self, leases: Leases, folder: JobFolder) -> None:
        self._leases, self._folder = leases, folder

    def finish(self, lease: Lease, results: bytes, progress: Progress) -> bool:
        """Hand in a chunk that is complete; whether it counts."""
        name = self._write(lease.place, results)
        if not self._leases.finish(lease.place, name, len(results), progress):
            log.info("job %s: chunk %d was lost to another process, or cancelled", *lease.place)
            self._folder.results(lease.job, name).unlink(missing_ok=True)
            return False
        self._folder.work(lease.job, lease.number).unlink(missing_ok=True)
        return True

    def leave(self, place: Place, kept: Kept) -> None:
        """Hand in what there is of a chunk whose job was cancelled."""
        if not kept.records:
            return
        results, progress = kept.cancelled()
        name = self._write(place, results)
        if not self._leases.leave(place, name, len(results), len(kept.names), progress):
            self._folder.results(place[0], name).unlink(missing_ok=True)

    def adopt(self, job: str) -> None:
        """The same of all chunks of a cancelled job that nobody works on any more."""
        for number in self._folder.under_way(job):
            self.leave((job, number), Kept.read(self._folder.work(job, number), with_states=False))

    def _write(self, place: Place, results: bytes) -> str:
        name = f"{place[1]}.{uuid.uuid4().hex}"
        write(self._folder.results(place[0], name), results)
        return name
