"""Taking jobs in: bodies as they are received, and the jobs that are made of them."""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import replace

from app.access.caller import Caller
from app.atoms.structure import Structure
from app.engine.potential import Potential
from app.errors import EquipotError, InputError, Overloaded
from app.jobs.background import Background
from app.jobs.estimate import Estimated, estimate
from app.jobs.files import kinds_of, split_files
from app.jobs.folder import JobFolder
from app.jobs.job import Job, NewJob, as_text
from app.jobs.options import Body, stored
from app.jobs.pace import Paces
from app.jobs.parts import Part, PartLimits, Parts
from app.jobs.sample import with_geometries
from app.jobs.split import split
from app.jobs.store import JobStore
from app.jobs.submission import Submission, Upload
from app.jobs.webhooks import Webhooks, new_secret
from app.protocol.intake import check_drawn
from app.protocol.request import Entry, PredictRequest
from app.service.choice import Choice
from app.service.options import request_limits
from app.service.service import Service
from app.tasks import TaskCall

UPLOADS = 8
"""Bodies of jobs that are received at a time."""
SAMPLED = 4
"""Parts of a body of which the estimate knows structures."""


class JobIntake:
    """Takes jobs in.

    Args:
        service: which answers them.
        store: keeps them.
        folder: their files.
        paces: of the jobs before.
        webhooks: say which addresses may be told.
        background: threads for what blocks.
    """

    def __init__(
        self,
        service: Service,
        store: JobStore,
        folder: JobFolder,
        paces: Paces,
        webhooks: Webhooks,
        background: Background,
    ) -> None:
        self._service, self._settings = service, service.settings
        self._store, self._folder, self._paces = store, folder, paces
        self._webhooks = webhooks
        self._threaded = background.threaded
        self._uploads = 0

    @contextlib.contextmanager
    def upload(self) -> Iterator[Upload]:
        """A place for a body for the length of a block; what no job was made of is removed.

        Raises:
            Overloaded: too many are being received.
        """
        if self._uploads == UPLOADS:
            raise Overloaded(f"bodies of {UPLOADS} jobs are being received; try again in a while")
        self._uploads += 1
        job = uuid.uuid4().hex
        try:
            yield Upload(job, self._folder.create(job))
        except BaseException:
            self._folder.remove(job)
            raise
        finally:
            self._uploads -= 1

    async def check_room(self, size: int, caller: Caller | None) -> None:
        """Whether a job with a body of so many bytes could be taken in now.

        Args:
            size: bytes.
            caller: whose key it was sent with; None without keys.

        Raises:
            Overloaded: too many jobs have not ended, or take too much of the disk.
        """
        limits = self._settings.max_jobs, self._settings.max_jobs_bytes
        await self._threaded(self._store.check_room, size, *limits, caller)

    async def submit(self, asked: Submission) -> Job:
        """Take a job in.

        Raises:
            InputError: the body is not what it is said to be, or over a limit.
            StoreError: there is no such model, or it is not served.
            JobConflict: its key is that of another request.
            Overloaded: there is no room for it.
        """
        if asked.webhook is not None:
            await self._threaded(self._webhooks.check, asked.webhook)
        parts = await self._threaded(self._parts, asked)
        settings = self._settings
        body = Body(asked.kind, asked.query, parts.prefix, request_limits(settings))
        request = await self._threaded(self._sample, asked.upload, body, parts)
        choice = self._service.choice(request)
        sample = await with_geometries(self._service.embedding, request)
        count = round(parts.structures * sample.times)
        if request.task is not None:
            request.task.check_count(count)
            known = sample.request if parts.structures == 1 else request
            await self._threaded(_check_task, request.task, known.structures, count)
        estimated = await self._estimate(choice, sample.request, count)
        estimated = estimated.after(parts.structures * sample.seconds)
        first, *others = choice.models
        job = NewJob(
            id=asked.upload.id,
            kind=asked.kind,
            query=asked.query,
            prefix=parts.prefix,
            model=first.reference,
            digest=first.digest,
            others=as_text(others),
            options=stored(request),
            structures=parts.structures,
            input_bytes=asked.size,
            estimate=estimated.seconds,
            at_most=estimated.at_most,
            assumes=estimated.assumes,
            key=asked.key,
            request_digest=asked.digest,
            webhook=asked.webhook,
            webhook_secret=None if asked.webhook is None else new_secret(),
            owner=None if asked.caller is None else asked.caller.name,
        )
        room = settings.max_jobs, settings.max_jobs_bytes
        taken = await self._threaded(self._store.create, job, parts.parts, *room, asked.caller)
        if taken.id != asked.upload.id:
            await self._threaded(self._folder.remove, asked.upload.id)
        return taken

    async def _estimate(
        self, choice: Choice, request: PredictRequest, structures: int
    ) -> Estimated:
        """How long so many structures take, by the models that those of a request have."""
        models: dict[Potential, list[Entry]] = {}
        for entry in request.entries:
            models.setdefault(choice.potential(entry, request), []).append(entry)
        estimates = []
        for potential, entries in (models or {choice.potentials[0]: []}).items():
            share = round(structures * len(entries) / max(1, len(request.entries)))
            steps = self._service.metrics.mean_steps(potential.reference)
            relaxes = request.relax is not None
            pace = await self._threaded(self._paces.known, potential.digest, relaxes)
            asked = replace(request, entries=entries)
            estimates.append(await estimate(potential, asked, share, pace, steps))
        return Estimated.together(estimates)

    def _parts(self, asked: Submission) -> Parts:
        limits = PartLimits(self._settings.max_job_structures, self._settings.max_body_bytes)
        if asked.kind == "files":
            return split_files(asked.upload.path, asked.files, limits)
        return split(asked.upload.path, asked.kind, limits)

    def _sample(self, upload: Upload, body: Body, parts: Parts) -> PredictRequest:
        """What is asked, with the structures of some parts, evenly spread.

        Raises:
            InputError: what is asked beside the structures is wrong, or the only structure is none.
        """
        if body.kind == "files":
            check_drawn([name for name, _ in body.query], kinds_of(parts.prefix))
        request = body.request(parts.parts[0], self._read(upload, parts.parts[0]))
        if parts.structures == 1 and not parts.prefix and len(request.entries) == 1:
            _check(request.entries[0])
        more = list[Entry]()
        for part in parts.parts[1 :: max(1, len(parts.parts) // SAMPLED)][: SAMPLED - 1]:
            more += body.entries(part, self._read(upload, part))
        return replace(request, entries=[*request.entries, *more])

    def _read(self, upload: Upload, part: Part) -> bytes:
        return self._folder.read_input(upload.id, part.start, part.stop)


def _check_task(task: TaskCall, structures: list[Structure], count: int) -> None:
    """Whether a task can be asked of one of the structures, where these are all that there are.

    Args:
        task: with its options.
        structures: that are known.
        count: how many there are.

    Raises:
        EquipotError: it cannot be asked of any; that of the first one.
    """
    if len(structures) < count:
        return
    errors = list[EquipotError]()
    for structure in structures:
        try:
            return task.check(structure)
        except EquipotError as error:
            errors.append(error)
    raise errors[0]


def _check(entry: Entry) -> None:
    if isinstance(entry.structure, InputError):
        raise entry.structure
