"""Answers of a service: entries go out over one stream, and their results come back as they finish."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import numpy as np

from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning, Code
from app.cli.predict.flight import Answer
from app.cli.remote import error_of
from app.errors import DoubtfulAnswer, EquipotError
from app.protocol.document import structure_fields
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered
from app.protocol.response import Result as Ours
from app.relax import Relaxed
from app.service.load import BATCHES, Load
from equipot import AsyncClient, Client, ConnectionFailed, Result


def model_of(client: Client, name: str | None) -> tuple[ModelRef, Load]:
    """The model of a service that a name means, or its first default, and the most that is to be
    under way.

    Raises:
        equipot.EquipotError: there is none, or the service cannot be reached.
    """
    defaults = (f"{m['name']}@{m['version']}" for m in client.models() if m.get("default"))
    default = next(defaults, "")
    known = client.model(name or default)
    card, budget = known["card"], known["budget"]
    window = Load(round(BATCHES * budget["structures"]), round(BATCHES * budget["atoms"]))
    return ModelRef(card["name"], card["version"], known["digest"]), window


@asynccontextmanager
async def answers_of(url: str, model: ModelRef, request: PredictRequest) -> AsyncIterator[Answer]:
    """What answers an entry, for the length of a block.

    Args:
        url: of the service.
        model: that is to answer.
        request: what is asked of each entry.

    Raises:
        equipot.EquipotError: of whoever waits for an answer, where the stream ends before.
    """
    entries: asyncio.Queue[Entry] = asyncio.Queue()
    waiting: dict[int, tuple[Entry, asyncio.Future[Ours]]] = {}
    numbers = itertools.count()

    async def given() -> AsyncIterator[dict[str, Any]]:
        while True:
            yield _fields(await entries.get())

    async def read() -> None:
        async with AsyncClient(url) as client:
            task = None if request.task is None else request.task.kind.name
            stream = client.stream(given(), window=2**31, task=task, **options_of(model, request))
            async with aclosing(stream) as results:
                async for result in results:
                    entry, future = waiting.pop(result.index)
                    if not future.done():
                        future.set_result(_result(entry, result, request))

    async def answer(entry: Entry) -> Ours:
        if not isinstance(entry.structure, Structure):
            assert isinstance(entry.structure, EquipotError)
            return entry.structure
        future: asyncio.Future[Ours] = asyncio.get_running_loop().create_future()
        waiting[next(numbers)] = entry, future
        entries.put_nowait(entry)
        either: list[asyncio.Future[Any]] = [future, reading]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            reading.result()
            raise ConnectionFailed("the stream ended before all had been answered")
        return future.result()

    reading = asyncio.ensure_future(read())
    try:
        yield answer
    finally:
        reading.cancel()
        await asyncio.wait([reading])


def options_of(model: ModelRef, request: PredictRequest) -> dict[str, Any]:
    """What is asked of a service for a request of this package; its energy always."""
    options: dict[str, Any] = {
        "model": model.reference,
        "strict": request.strict,
        "on_ood": request.on_ood,
        "allow_odd_electrons": request.allow_odd_electrons,
    }
    if request.explicit:
        options["properties"] = list(dict.fromkeys(["energy", *request.properties]))
    if request.relax is not None:
        stated = request.relax.model_dump(mode="json", exclude_unset=True)
        options["relax"] = stated or True
    if request.task is not None:
        options |= request.task.options.model_dump(mode="json", exclude_unset=True)
    return options


def _fields(entry: Entry) -> dict[str, Any]:
    assert isinstance(entry.structure, Structure)
    fields = structure_fields(entry.structure)
    if entry.structure.fixed is not None:
        fields["fixed"] = np.flatnonzero(entry.structure.fixed).tolist()
    if entry.id is not None:
        fields["id"] = entry.id
    return fields


def _result(entry: Entry, result: Result, request: PredictRequest) -> Ours:
    """The result as this package has it, with what was doubtful when the entry was read."""
    if result.error is not None:
        return error_of(result.error)
    told = tuple(AnswerWarning(cast(Code, each.code), each.message) for each in result.warnings)
    if entry.warnings and request.strict:
        text = "; ".join(f"{each.code}: {each.message}" for each in entry.warnings)
        return DoubtfulAnswer(f"{text} (an error since the request is strict)")
    answered = replace(_answered(entry, result), warnings=(*entry.warnings, *told))
    if request.task is None:
        return answered
    return replace(answered, value=request.task.kind.value.model_validate(result.value))


def _answered(entry: Entry, result: Result) -> Answered:
    ended, ends = _prediction(result), result.relaxation
    if ends is None:
        return Answered(ended)
    assert isinstance(entry.structure, Structure)
    assert result.structure is not None
    moved = replace(
        entry.structure,
        positions=np.asarray(result.structure["positions"]),
        cell=np.asarray(result.structure.get("cell", entry.structure.cell)),
    )
    initial = StructurePrediction(
        ends.initial_energy or 0.0,
        _some(ends.initial_energies),
        ends.initial_forces,
        ends.initial_stress,
    )
    course = (ends.fmax, ends.steps, ends.converged, ends.criterion, ends.reason)
    relaxed = Relaxed(moved, None, ended, initial, *course)
    return Answered(initial, relaxed)


def _prediction(result: Result) -> StructurePrediction:
    assert result.energy is not None
    variance = None if result.energy_std is None else result.energy_std**2
    return StructurePrediction(
        result.energy,
        _some(result.energies),
        result.forces,
        result.stress,
        energy_variance=variance,
        force_errors=result.forces_std,
    )


def _some(energies: Any) -> Any:
    """The atoms' shares; none where they were not asked for, and are not written either."""
    return np.zeros(0) if energies is None else energies
