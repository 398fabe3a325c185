"""Jobs in a database, without a service."""

import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.jobs.database import Database
from app.jobs.folder import JobFolder
from app.jobs.job import Job, NewJob
from app.jobs.leases import Leases
from app.jobs.parts import Part
from app.jobs.store import JobStore
from app.protocol.model_ref import ModelRef

MODEL = ModelRef.of("pairs@1", "d" * 64)
MOST = (100, 10**9)
"""Jobs and bytes that there may be."""


def new_job(**given: Any) -> NewJob:
    """A job of ten structures."""
    job = NewJob(
        id=uuid.uuid4().hex,
        kind="xyz",
        query=[("relax", "true")],
        prefix=b"",
        model=MODEL.reference,
        digest=MODEL.digest,
        others=None,
        options="{}",
        structures=10,
        input_bytes=100,
        estimate=1.5,
        at_most=None,
        assumes=None,
        key=None,
        request_digest="r",
        webhook=None,
        webhook_secret=None,
        owner=None,
    )
    return replace(job, **given)


def parts(count: int, structures: int = 5) -> list[Part]:
    """Parts of so many structures each."""
    return [Part(n * 10, n * 10 + 10, n * structures, structures) for n in range(count)]


@dataclass
class Scene:
    """A store, and its files."""

    folder: JobFolder
    database: Database
    store: JobStore

    def leases(self, name: str, seconds: float = 60.0) -> Leases:
        """Those of one holder."""
        return Leases(self.database, name, seconds)

    def create(self, chunks: int = 2, **given: Any) -> Job:
        """A job of chunks with five structures each."""
        job = new_job(structures=5 * chunks, **given)
        self.folder.create(job.id).write_bytes(b"x" * 100)
        return self.store.create(job, parts(chunks), *MOST)


def scene(folder: Path, url: str) -> Scene:
    """An empty store."""
    files = JobFolder(folder)
    database = Database(url, folder)
    return Scene(files, database, JobStore(database, files.id))
