"""The runner: takes chunks of jobs and has their structures answered, beside all other requests.

All jobs are one caller of the queue, so that they take turns with single requests as one of these,
and no more structures are under way than keep the model busy.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Hashable
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.engine.potential import Potential
from app.errors import BackendError, Overloaded, StructureTooLarge, Unavailable
from app.jobs.background import BACKOFF, Background
from app.jobs.chunk import HOPELESS, Chunk
from app.jobs.folder import JobFolder
from app.jobs.hand_in import HandIn
from app.jobs.housekeeper import Housekeeper
from app.jobs.job import Job
from app.jobs.kept import Kept
from app.jobs.leases import Lease, Leases, Place
from app.jobs.metrics import JobMetrics
from app.jobs.options import Body, request_of
from app.jobs.pace import Pace, Paces
from app.jobs.parts import Part
from app.jobs.store import JobStore
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Result
from app.service.choice import Choice, ref_of
from app.service.load import Load
from app.service.options import request_limits
from app.service.service import Service
from app.service.window import Window
from app.tasks import Course

MOST_CHUNKS = 8
"""Chunks under way, of which one at most waits for places."""
POLL = 1.0
"""Seconds until it is looked whether another process has brought or left something to do."""
LONGEST_BEAT = 2.0
"""Seconds between two times that it is told how far chunks are, at most."""
KEEP = 0.5
"""Seconds between two times that it is kept how far they are, from which others read results."""
log = logging.getLogger(__name__)


class Runner:
    """Works on the jobs of a store, on the event loop of a service.

    Args:
        service: answers.
        store: the jobs.
        leases: their chunks.
        folder: their files.
        hand_in: takes results.
        paces: learns how quickly they came.
        housekeeper: ends jobs.
        metrics: counts.
        background: loops and threads.
        lease_seconds: that a chunk is held without a word.
    """

    def __init__(
        self,
        service: Service,
        store: JobStore,
        leases: Leases,
        folder: JobFolder,
        hand_in: HandIn,
        paces: Paces,
        housekeeper: Housekeeper,
        metrics: JobMetrics,
        background: Background,
        lease_seconds: float,
    ) -> None:
        self._service, self._store, self._leases = service, store, leases
        self._folder, self._hand_in, self._housekeeper = folder, hand_in, housekeeper
        self._metrics, self._background, self._paces = metrics, background, paces
        self._since: float | None = None
        self._noted: dict[tuple[str, bool], Pace] = {}
        self.threaded = background.threaded
        self._beat = min(LONGEST_BEAT, lease_seconds / 3.0)
        self._caller: Hashable = object()
        self._window = Window()
        self._wake = asyncio.Event()
        self._chunks: dict[Place, Chunk | None] = {}
        self._tasks: dict[Place, asyncio.Task[None]] = {}
        self._lost: set[Place] = set()
        self._jobs: dict[str, Job] = {}

    def start(self) -> None:
        """Begin to work, on the event loop that this is called on."""
        steps = ((self._take, POLL), (self._renew, self._beat), (self._keep, KEEP))
        for step, seconds in steps:
            self._background.repeat(step, seconds)

    def wake(self) -> None:
        """There is something new to do."""
        self._wake.set()

    async def stop(self) -> None:
        """Keep how far everything is, give it back, and end."""
        await self._background.stop()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self) -> None:
        """Take chunks as long as there is room for more, and wait until there is again."""
        while True:
            self._wake.clear()
            has_room = len(self._tasks) < MOST_CHUNKS and all(
                chunk and chunk.has_launched for chunk in self._chunks.values()
            )
            lease = None
            if has_room:
                lease = await self.threaded(self._leases.take, self._served())
            if lease is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), POLL)
                continue
            if lease.state == "leased":
                self._metrics.took_over()
            self._chunks[lease.place] = None
            self._since = self._since or time.monotonic()
            task = self._tasks[lease.place] = asyncio.create_task(self._work(lease))
            task.add_done_callback(partial(self._ended, lease.place))

    def _served(self) -> list[ModelRef]:
        """Models that take structures now."""
        models = self._service.models
        if models.state != "ready":
            return []
        return [ref_of(each) for each in models.potentials.values()]

    async def _work(self, lease: Lease) -> None:
        """Answer a chunk and hand in its results; where that fails, give it back."""
        place = lease.place
        try:
            await self._answered(lease)
        except asyncio.CancelledError:
            await self._let_go(place)
            raise
        except Unavailable as error:
            log.info("job %s: chunk %d waits: %s", *place, error)
            await self._give_back(place, counts=False)
            await asyncio.sleep(POLL)
        except Exception:
            log.exception("job %s: chunk %d failed; it is tried again", *place)
            await self._give_back(place, counts=True)
            await asyncio.sleep(BACKOFF)

    def _ended(self, place: Place, _: asyncio.Task[None]) -> None:
        """Also of a task that was cancelled before its first step."""
        self._chunks.pop(place, None)
        self._tasks.pop(place, None)
        self._since = self._since if self._tasks else None
        self._lost.discard(place)
        self._wake.set()

    async def _answered(self, lease: Lease) -> None:
        job = await self._job(lease.job)
        choice = Choice([self._potential(model) for model in job.models])
        path = self._folder.work(lease.job, lease.number)
        request, entries, kept = await self.threaded(self._read, job, lease, path)
        has_task = request.task is not None
        relaxes = has_task or request.relax is not None

        async def answer(entry: Entry, course: Course) -> Result:
            potential = choice.potential(entry, request)
            while True:
                try:
                    result = await self._service.result(potential, entry, request, course)
                    self._metrics.answered(result)
                    return result
                except Overloaded as error:
                    await asyncio.sleep(error.retry_after)

        def most() -> Load:
            on_cpu = self._service.settings.device == "cpu"
            budgets = [potential.workers.budget for potential in choice.potentials]
            return Load.largest(Load.window(budget, relaxes, on_cpu) for budget in budgets)

        entries = [new for entry in entries for new in await self._drawn(entry)]
        entries = [choice.named(entry, choice.potential(entry, request)) for entry in entries]
        if kept.records or kept.states:
            log.info("job %s: chunk %d goes on: %s", *lease.place, kept)
        chunk = Chunk(lease, entries, kept, path, answer, self._window, most, has_task)
        self._chunks[lease.place] = chunk
        results = await chunk.run(self.wake)
        if await self.threaded(self._hand_in.finish, lease, results, chunk.progress):
            # The geometries of SMILES took the time, and of several models it is not known which did.
            if job.kind != "smiles" and job.only is not None and not has_task:
                self._note((job.digest, relaxes), chunk.pace)
            await self.threaded(self._housekeeper.end_jobs)

    def _potential(self, model: ModelRef) -> Potential:
        """The model that was asked when the job was taken.

        Raises:
            Unavailable: it is another one meanwhile.
        """
        potential = self._service.models.potential(model.reference)
        if potential.digest != model.digest:
            raise Unavailable(f"model {model.reference} is not the one that was asked")
        return potential

    def _note(self, key: tuple[str, bool], pace: Pace) -> None:
        """A chunk has taken the time since the one before it, where several are under way."""
        now = time.monotonic()
        seconds, self._since = now - (self._since or now), now
        self._noted[key] = self._noted.get(key, Pace()).plus(pace._replace(seconds=seconds))

    async def _drawn(self, entry: Entry) -> list[Entry]:
        """The entry, or those of its conformers where it is a SMILES: the same each time."""
        try:
            return await self._service.embedding.drawn([entry])
        except StructureTooLarge as error:
            return [replace(entry, structure=error)]

    def _read(self, job: Job, lease: Lease, path: Path) -> tuple[PredictRequest, list[Entry], Kept]:
        """What is asked, the structures of a chunk, and how far it is; what cannot be read again and
        again, is an error of each.
        """
        try:
            asked = request_of(job, [], self._caller)
            return asked, self._read_entries(job, lease), Kept.read(path)
        except Exception as error:
            if lease.attempts <= HOPELESS:
                raise
            log.exception("job %s: chunk %d cannot be read", *lease.place)
            unread = BackendError(f"cannot be read again: {error}; the service's log has more")
            nothing = PredictRequest(entries=[], model=job.model)
            return nothing, [Entry(None, unread)] * lease.structures, Kept()

    def _read_entries(self, job: Job, lease: Lease) -> list[Entry]:
        items = self._folder.read_input(lease.job, lease.start, lease.stop)
        part = Part(lease.start, lease.stop, lease.first, lease.structures, lease.lines)
        limits = request_limits(self._service.settings)
        return Body(job.kind, job.query, job.prefix, limits).entries(part, items)

    async def _job(self, id_: str) -> Job:
        """What was asked; that does not change."""
        if id_ not in self._jobs:
            self._jobs = {id_: await self.threaded(self._store.get, id_)} | self._jobs
            self._jobs = dict(list(self._jobs.items())[:MOST_CHUNKS])
        return self._jobs[id_]

    async def _let_go(self, place: Place) -> None:
        """Give back what was interrupted; of a job that was cancelled, hand in what there is."""
        if place not in self._lost:
            await self._give_back(place, counts=False)
        elif chunk := self._chunks.get(place):
            try:
                await self.threaded(self._hand_in.leave, place, chunk.kept)
            except Exception:
                log.exception("job %s: results of chunk %d are lost", *place)

    async def _give_back(self, place: Place, counts: bool) -> None:
        if place in self._lost:
            return
        try:
            if chunk := self._chunks.get(place):
                await self.threaded(chunk.save, at_once=True)
            await self.threaded(self._leases.release, [place], counts)
        except Exception:
            log.exception("job %s: chunk %d cannot be given back; its lease will end", *place)

    async def _renew(self) -> None:
        """Go on holding what is under way, give up what is lost, and learn from what has ended."""
        noted, self._noted = self._noted, {}
        for key, pace in noted.items():
            await self.threaded(self._paces.learn, *key, pace)
        progress = {
            place: None if chunk is None else chunk.progress
            for place, chunk in self._chunks.items()
        }
        if progress:
            for place in await self.threaded(self._leases.renew, progress):
                self._drop(place)

    async def drop(self, job: str) -> None:
        """Give up what is under way of a job that was cancelled, and hand in what there is of it."""
        places = [place for place in self._tasks if place[0] == job]
        tasks = [self._tasks[place] for place in places]
        for place in places:
            self._drop(place)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop(self, place: Place) -> None:
        if task := self._tasks.get(place):
            self._lost.add(place)
            task.cancel()

    async def _keep(self) -> None:
        """Keep how far the chunks are."""
        for place, chunk in list(self._chunks.items()):
            if chunk is not None and place not in self._lost:
                with contextlib.suppress(FileNotFoundError):  # the job was cancelled elsewhere
                    await self.threaded(chunk.save)
