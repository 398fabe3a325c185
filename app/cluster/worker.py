"""Worker: a process of the cluster that holds a model and answers portions of a screen."""

import asyncio
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath
from typing import NamedTuple

from app import __version__
from app.cluster.portions import Portion
from app.cluster.shipping import PackedModel
from app.cluster.workers import check_version
from app.engine.calibration_cache import CalibrationCache
from app.engine.load import load_potential
from app.engine.potential import Potential
from app.errors import EquipotError, InvalidFormat
from app.formats.frame import Frame
from app.formats.notation import Smiles
from app.formats.registry import FORMATS, iter_frames, read
from app.machine import peak_memory
from app.process import be_quick
from app.protocol.encode import encode, fits
from app.protocol.intake import Drawing
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry, Kind, PredictRequest, RequestLimits
from app.protocol.response import PredictResponse, Result
from app.protocol.tally import Outcome, Tally
from app.service.answer import Aids, answer
from app.service.choice import Choice
from app.service.embedding import Embedding
from app.service.load import Load
from app.service.options import bulk_options, safeguards
from app.service.window import Window
from app.settings import Settings
from app.store.location import default_cache

MOST = sys.maxsize


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a screen asks of each of its workers.

    Attributes:
        model: that answers.
        request: what is asked of each structure; it has no entries.
        drawing: how geometries of SMILES are made.
        form: format in which results are written.
        settings: of the process that asks, but for its folders.
        version: of Equipot there.
    """

    model: PackedModel
    request: PredictRequest
    drawing: Drawing
    form: Kind
    settings: Settings
    version: str = __version__

    @property
    def model_ref(self) -> ModelRef:
        """Which model answers."""
        return ModelRef(self.model.name, self.model.version, self.model.digest)


class Facts(NamedTuple):
    """What a worker says of itself.

    Attributes:
        node: name of its machine.
        process: its id there.
        runs_on: name and version of what computes.
    """

    node: str
    process: int
    runs_on: str


class Usage(NamedTuple):
    """What a worker has taken so far.

    Attributes:
        process: its id on its machine.
        node: name of that.
        memory: bytes, the most that it ever had.
        seconds: of processors.
    """

    process: int
    node: str
    memory: int
    seconds: float


class Done(NamedTuple):
    """A portion that has been answered.

    Attributes:
        content: a file with its results.
        tally: of them.
        usage: of the worker.
    """

    content: bytes
    tally: Tally
    usage: Usage


class Worker:
    """Answers portions, some at a time, with structures of all of them in one batch; an actor of Ray,
    whose methods run on one event loop.
    """

    _assignment: Assignment
    _potential: Potential

    async def start(self, assignment: Assignment) -> Facts:
        """Load the model.

        Raises:
            Unavailable: another version of Equipot is installed here.
            EquipotError: the model cannot be run here.
        """
        check_version(assignment.version, "this screen")
        be_quick()
        settings = assignment.settings.model_copy(update={"cache": default_cache()})
        model = await asyncio.to_thread(assignment.model.unpacked, settings.cache)
        options = bulk_options(settings)
        cache = CalibrationCache(settings.cache)
        self._potential = await asyncio.to_thread(load_potential, model, options, cache=cache)
        self._potential.start()
        limits = RequestLimits(MOST, MOST, settings.max_relax_steps, MOST)
        self._embedding = Embedding(limits, MOST, settings.embed_seconds)
        self._aids = Aids(safeguards(settings), chemist=self._embedding.ask)
        self._assignment, self._window = assignment, Window()
        asked = assignment.request
        relaxes = asked.relax is not None or asked.task is not None
        self._most = Load.window(self._potential.workers.budget, relaxes, settings.device == "cpu")
        return Facts(platform.node(), os.getpid(), self._potential.runs_on)

    async def screen(self, portion: Portion) -> Done:
        """Answer a portion, and write its results."""
        entries = await self._entries(portion)
        answers: list[asyncio.Task[Result]] = []
        async with asyncio.TaskGroup() as group:
            for entry in entries:
                await self._window.enter(entry.n_atoms, lambda: self._most)
                answers.append(task := group.create_task(self._result(entry)))
                task.add_done_callback(self._leaving(entry))
        return await self._done(entries, [task.result() for task in answers])

    async def one(self, portion: Portion, number: int) -> Result | None:
        """Answer one structure of a portion, of which one ends the process; None beyond the last."""
        entries = await self._entries(portion)
        return await self._result(entries[number]) if number < len(entries) else None

    async def written(self, portion: Portion, results: list[Result]) -> Done:
        """Write the results of a portion that was answered one by one."""
        return await self._done(await self._entries(portion), results)

    async def _entries(self, portion: Portion) -> list[Entry]:
        form, drawing = self._assignment.form, self._assignment.drawing
        read = await asyncio.to_thread(lambda: list(entries_of(portion, drawing)))
        if any(isinstance(entry.structure, Smiles) for entry in read):
            read = [new for entry in read for new in await self._embedding.drawn([entry])]
        return [fits(entry, form) for entry in read]

    async def _result(self, entry: Entry) -> Result:
        request = replace(self._assignment.request, entries=[entry])
        return (await answer(Choice([self._potential]), request, self._aids)).results[0]

    async def _done(self, entries: list[Entry], results: list[Result]) -> Done:
        request = replace(self._assignment.request, entries=entries)
        response = PredictResponse(self._assignment.model_ref, request, results)
        content = await asyncio.to_thread(encode, response, self._assignment.form)
        tally = Tally()
        for result in results:
            tally.add(Outcome.of(result))
        usage = Usage(os.getpid(), platform.node(), peak_memory(), time.process_time())
        return Done(content, tally, usage)

    def _leaving(self, entry: Entry) -> Callable[[object], None]:
        return partial(self._leave, entry.n_atoms)

    def _leave(self, atoms: int, _: object) -> None:
        self._window.leave(atoms)


def entries_of(portion: Portion, drawing: Drawing) -> Iterator[Entry]:
    """The structures of a portion; what cannot be read is an error in its place."""
    if portion.error is not None:
        yield Entry(None, portion.error)
        return
    try:
        for frame in _frames(portion):
            entry = Entry.of(frame)
            if isinstance(entry.structure, Smiles):
                entry = replace(entry, structure=_drawn(entry.structure, drawing))
            yield entry
    except InvalidFormat as error:
        yield Entry(None, InvalidFormat(f"{portion.file}: {error}"))


def _frames(portion: Portion) -> Iterator[Frame]:
    if portion.kind is not None and portion.kind in FORMATS:
        return iter_frames(portion.content, portion.kind, portion.before)
    return iter(read(portion.content, PurePath(portion.file).name, portion.kind))


def _drawn(smiles: Smiles, drawing: Drawing) -> Smiles | EquipotError:
    try:
        return Smiles(smiles.text, *drawing)
    except EquipotError as error:
        return error
