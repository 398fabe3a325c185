"""From results to the body that carries them."""

from dataclasses import replace
from typing import Any

import orjson
import ormsgpack

from app.atoms.prediction import StructurePrediction
from app.atoms.properties import DEFAULT, Name, answered
from app.atoms.structure import Structure
from app.errors import InvalidRequest
from app.formats.record import Record
from app.formats.registry import WRITERS
from app.protocol.arrays import encoded
from app.protocol.document import structure_fields
from app.protocol.faults import fault
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry, Kind, PredictRequest
from app.protocol.response import Answered, PredictResponse, Result
from app.protocol.schemas import UNITS
from app.relax import Relaxed
from app.telemetry.context import request_id

ORJSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
COURSE = ("fmax", "steps", "converged", "criterion", "reason")
"""What is said of the course of a relaxation."""


def encode(response: PredictResponse, kind: Kind) -> bytes:
    """The body of an answer: JSON, MessagePack with the same fields and binary arrays, or a format of
    `app.formats.registry.WRITERS`, with a record for each entry.
    """
    if kind in WRITERS:
        request, model = response.request, response.model
        pairs = zip(request.entries, response.results, strict=True)
        writer = WRITERS[kind].writer()
        parts = (writer.add(record(*pair, request, model)) for pair in pairs)
        return b"".join((writer.begin(), *parts, writer.end()))
    document = _document(response)
    if kind == "json":
        return orjson.dumps(document, option=ORJSON_OPTIONS)
    return ormsgpack.packb(document, default=encoded)


def _document(response: PredictResponse) -> dict[str, Any]:
    request = response.request
    pairs = zip(request.entries, response.results, strict=True)
    document: dict[str, Any] = {
        **head_fields(response.model),
        "results": [result_fields(entry, result, request) for entry, result in pairs],
    }
    if (whole := response.fault) is not None:
        document["error"] = whole.as_json()
        if (asked := request_id()) is not None:
            document["request_id"] = asked
    return document


def head_fields(model: ModelRef | None) -> dict[str, Any]:
    """What a document says before its results: which model answered, unless each result says that,
    and in which units.
    """
    return {"model": None if model is None else model_fields(model), "units": UNITS}


def model_fields(model: ModelRef) -> dict[str, Any]:
    """Which model answered."""
    return {"name": model.name, "version": model.version, "digest": model.digest}


def result_fields(entry: Entry, result: Result, request: PredictRequest) -> dict[str, Any]:
    """The fields of one result, by the names of the schema."""
    if not isinstance(result, Answered):
        return {**_named(entry, "error"), "error": fault(result).as_json()}
    fields = _named(entry, "ok")
    if entry.shown and isinstance(entry.structure, Structure):
        fields["structure"] = structure_fields(entry.structure, lambda array: array)
    fields |= _values(result.prediction, request.properties, request.explicit)
    if result.relaxed is not None:
        fields["relaxed"] = _relaxed(result.relaxed)
    if result.value is not None:
        fields["value"] = result.value.model_dump(mode="json", exclude_none=True)
    if result.warnings:
        fields["warnings"] = [warning.as_json() for warning in result.warnings]
    return fields


def _named(entry: Entry, status: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"id": entry.id, "status": status}
    if entry.item is not None:
        fields["item"] = entry.item
    if entry.model is not None:
        fields["model"] = model_fields(entry.model)
    return fields


def _values(
    prediction: StructurePrediction, names: tuple[Name, ...], with_none: bool = False
) -> dict[str, Any]:
    """What was asked for and is there; of a committee, energy and forces with uncertainty.

    Args:
        prediction: of one structure.
        names: of what was asked for.
        with_none: whether what was asked for by name and is not there is None.
    """
    values = {row: getattr(prediction, row.name) for row in answered(names)}
    return {
        row.name: value
        for row, value in values.items()
        if value is not None or (with_none and row.beside is None)
    }


def _relaxed(relaxed: Relaxed) -> dict[str, Any]:
    fields: dict[str, Any] = {"positions": relaxed.structure.positions}
    if relaxed.structure.cell.any():
        fields["cell"] = relaxed.structure.cell
    return fields | _values(relaxed.prediction, DEFAULT) | _course(relaxed)


def _course(relaxed: Relaxed) -> dict[str, Any]:
    return {name: getattr(relaxed, name) for name in COURSE}


def record(entry: Entry, result: Result, request: PredictRequest, model: ModelRef | None) -> Record:
    """One result as it is written to a file.

    An entry that failed has no values, and `status="error"`, its code and message in the answer; one
    that was no structure has no structure either.
    """
    answer: dict[str, object] = {} if entry.item is None else {"item": entry.item}
    if (own := entry.model or model) is not None:
        answer |= {"model": own.reference, "digest": own.digest}
    structure = entry.structure if isinstance(entry.structure, Structure) else None
    values: dict[str, Any] = {}
    if not isinstance(result, Answered):
        failed = fault(result)
        answer |= {"status": "error", "code": failed.code, "message": failed.message}
    else:
        prediction = result.prediction
        if result.relaxed is not None:
            structure, prediction = result.relaxed.structure, result.relaxed.prediction
            answer |= {"relaxed": True, "initial_energy": result.prediction.energy}
            answer |= _course(result.relaxed)
        if result.warnings:
            answer["warnings"] = "; ".join(f"{w.code}: {w.message}" for w in result.warnings)
        values = _values(prediction, request.properties)
    return Record(structure, entry.id, values, entry.info, answer, entry.topology)


def fitting(request: PredictRequest, kind: Kind) -> PredictRequest:
    """The request with an error in the place of each structure that cannot be answered as asked.

    Args:
        request: what is asked.
        kind: how it is to be answered.

    Raises:
        InvalidRequest: the format holds one structure alone, or not all that is asked for by name.
    """
    written = WRITERS.get(kind)
    if written is None:
        return request
    if written.single and len(request.entries) != 1:
        raise InvalidRequest(
            f"format: {kind} holds one structure, and {len(request.entries)} are asked for; ask for "
            "json or xyz"
        )
    check_held(request, kind)
    return replace(request, entries=[fits(entry, kind) for entry in request.entries])


def check_held(request: PredictRequest, kind: Kind) -> None:
    """Whether a format holds all that is asked for by name.

    Raises:
        InvalidRequest: it does not, and says what; or it cannot be written here.
    """
    if kind in WRITERS:
        WRITERS[kind].check()
        if request.task is not None:
            raise InvalidRequest(
                f"format: {kind} does not hold what {request.task.kind.name} finds; ask for json"
            )
    held = WRITERS[kind].holds if kind in WRITERS else request.properties
    missing = [name for name in request.properties if name not in held]
    if request.explicit and missing:
        raise InvalidRequest(f"format: {kind} holds no {', '.join(missing)}; ask for json or xyz")


def check_fits(entries: list[Entry], kind: Kind) -> None:
    """Whether a format can hold any of some structures.

    Raises:
        InvalidRequest: it can hold none; says why, and what can.
    """
    written = WRITERS.get(kind)
    structures = [e.structure for e in entries if isinstance(e.structure, Structure)]
    if written is None or not structures:
        return
    told = [written.misfit(structure) for structure in structures]
    if all(why is not None for why in told):
        raise InvalidRequest(f"format: {told[0]}")


def fits(entry: Entry, kind: Kind) -> Entry:
    """The entry, with an error in the place of a structure that a format cannot hold."""
    written = WRITERS.get(kind)
    if written is None or not isinstance(entry.structure, Structure):
        return entry
    told = written.misfit(entry.structure)
    return entry if told is None else replace(entry, structure=InvalidRequest(told))
