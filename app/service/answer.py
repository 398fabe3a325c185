"""Answering an `Ask`: each structure gets its prediction or its own error, then JSON or XYZ is made
of them.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
import ormsgpack

from app.api.errors import Fault, fault
from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.engine.potential import Potential
from app.errors import EquipotError
from app.formats.extxyz import format_frame
from app.formats.extxyz.comment_line import write_pairs
from app.protocol.arrays import encoded
from app.protocol.request import Ask, Entry, count_atoms
from app.protocol.schemas import DEFAULT_PROPERTIES, UNITS, Property
from app.relax import Relaxed, relax

log = logging.getLogger(__name__)

ORJSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
UNCERTAIN: tuple[Property, ...] = ("energy", "forces")
Watch: TypeAlias = Callable[[Relaxed], None]


@dataclass(frozen=True, slots=True)
class Answered:
    """What is known of one structure: as it was sent, and relaxed if asked."""

    prediction: StructurePrediction
    relaxed: Relaxed | None = None


Result: TypeAlias = Answered | EquipotError


async def answer(potential: Potential, ask: Ask, watch: Watch | None = None) -> list[Result]:
    """The results of all entries, in their order. One that fails costs the others nothing.

    Args:
        potential: the model that was asked for.
        ask: the request.
        watch: is told of each relaxation that ended.

    Raises:
        Overloaded: the queue is full.
        Unavailable: the service is shutting down.
    """
    sound = sum(isinstance(entry.structure, Structure) for entry in ask.entries)
    if not sound:
        return [_unsound(entry) for entry in ask.entries]
    with potential.admit(sound, count_atoms(ask.entries)):
        if len(ask.entries) == 1:
            return [await _one(potential, ask.entries[0], ask, watch)]
        return await asyncio.gather(*(_one(potential, entry, ask, watch) for entry in ask.entries))


async def _one(potential: Potential, entry: Entry, ask: Ask, watch: Watch | None) -> Result:
    if not isinstance(entry.structure, Structure):
        return entry.structure
    try:
        if ask.relax is None:
            return Answered(await potential.predict(entry.structure, ask.derivatives))
        relaxed = await relax(potential, entry.structure, ask.relax)
    except EquipotError as error:
        return error
    except Exception as error:
        log.exception("a structure could not be answered")
        return EquipotError(f"an unexpected {type(error).__name__}; the service's log has more")
    if watch:
        watch(relaxed)
    return Answered(relaxed.initial, relaxed)


def _unsound(entry: Entry) -> Result:
    assert isinstance(entry.structure, EquipotError)
    return entry.structure


def overall(results: list[Result]) -> Fault | None:
    """None where at least one structure has an answer, otherwise the fault of the whole request."""
    faults = []
    for result in results:
        if isinstance(result, Answered):
            return None
        faults.append(fault(result))
    if len({f.status for f in faults}) == 1:
        first = faults[0]
        return first if len(faults) == 1 else Fault(first.status, first.code, _summary(faults))
    return Fault(422, "invalid_request", _summary(faults))


def _summary(faults: list[Fault]) -> str:
    return f"none of the {len(faults)} structures could be answered; the first one: {faults[0].message}"


def as_json(potential: Potential, ask: Ask, results: list[Result]) -> bytes:
    """The answer as JSON, in UTF-8."""
    return orjson.dumps(_document(potential, ask, results), option=ORJSON_OPTIONS)


def as_msgpack(potential: Potential, ask: Ask, results: list[Result]) -> bytes:
    """The answer as MessagePack: the same fields, with binary arrays."""
    return ormsgpack.packb(_document(potential, ask, results), default=encoded)


def _document(potential: Potential, ask: Ask, results: list[Result]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": {
            "name": potential.card.name,
            "version": potential.card.version,
            "digest": potential.digest,
        },
        "units": UNITS,
        "results": [_result_json(e, r, ask) for e, r in zip(ask.entries, results, strict=True)],
    }
    whole = overall(results)
    if whole is not None:
        body["error"] = whole.as_json()
    return body


def _result_json(entry: Entry, result: Result, ask: Ask) -> dict[str, Any]:
    if not isinstance(result, Answered):
        return {"id": entry.id, "status": "error", "error": fault(result).as_json()}
    found: dict[str, Any] = {"id": entry.id, "status": "ok"}
    for name, value in _values(result.prediction, ask.properties).items():
        if value is not None or ask.explicit:
            found[name] = value
    if result.relaxed is not None:
        found["relaxed"] = _relaxed_json(result.relaxed)
    return found


def _values(prediction: StructurePrediction, properties: Sequence[Property]) -> dict[str, Any]:
    """What was asked for; a committee's energy and forces come with their uncertainty."""
    found = {name: getattr(prediction, name) for name in properties}
    spreads = {
        f"{name}_std": getattr(prediction, f"{name}_std")
        for name in UNCERTAIN
        if name in properties
    }
    return found | {name: value for name, value in spreads.items() if value is not None}


def _relaxed_json(relaxed: Relaxed) -> dict[str, Any]:
    found: dict[str, Any] = {"positions": relaxed.structure.positions}
    if relaxed.structure.cell.any():
        found["cell"] = relaxed.structure.cell
    values = _values(relaxed.prediction, DEFAULT_PROPERTIES)
    return (
        found
        | {name: value for name, value in values.items() if value is not None}
        | _course(relaxed)
    )


def _course(relaxed: Relaxed) -> dict[str, Any]:
    names = ("fmax", "steps", "converged", "criterion", "reason")
    return {name: getattr(relaxed, name) for name in names}


def as_xyz(potential: Potential, ask: Ask, results: list[Result]) -> str:
    """The answer as extXYZ, one frame for each entry.

    Relaxed frames say so in their comment line. An entry that failed is a frame without results, or
    without atoms where it was no structure, with `status="error"`, its code and message in the
    comment line.
    """
    return "".join(_frame(potential, e, r, ask) for e, r in zip(ask.entries, results, strict=True))


def _frame(potential: Potential, entry: Entry, result: Result, ask: Ask) -> str:
    info = _labels(entry) | {"model": potential.reference, "digest": potential.digest}
    if not isinstance(result, Answered):
        failed = fault(result)
        info |= {"status": "error", "code": failed.code, "message": failed.message}
        structure = entry.structure if isinstance(entry.structure, Structure) else None
        return format_frame(structure, info=info) if structure else _empty_frame(info)
    assert isinstance(entry.structure, Structure)
    structure, prediction = entry.structure, result.prediction
    if result.relaxed is not None:
        structure, prediction = result.relaxed.structure, result.relaxed.prediction
        info |= {
            "relaxed": True,
            "initial_energy": result.prediction.energy,
            **_course(result.relaxed),
        }
    return format_frame(structure, info=info, **_values(prediction, ask.properties))


def _labels(entry: Entry) -> dict[str, Any]:
    return dict(entry.info) if entry.id is None else {"id": entry.id, **entry.info}


def _empty_frame(info: dict[str, Any]) -> str:
    return f"0\n{write_pairs({'Properties': 'species:S:1:pos:R:3', **info}.items())}\n"
