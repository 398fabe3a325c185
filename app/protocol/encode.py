"""From results to the body that carries them."""

from collections.abc import Mapping
from typing import Any

import orjson
import ormsgpack

from app.atoms.prediction import StructurePrediction
from app.atoms.properties import DEFAULT, Name, answered
from app.atoms.structure import Structure
from app.formats.extxyz import format_frame
from app.formats.extxyz.comment_line import write_pairs
from app.protocol.arrays import encoded
from app.protocol.faults import fault
from app.protocol.request import Entry, Kind, PredictRequest
from app.protocol.response import Answered, ModelRef, PredictResponse, Result
from app.protocol.schemas import UNITS
from app.relax import Relaxed

ORJSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
EMPTY = {"Properties": "species:S:1:pos:R:3"}
COURSE = ("fmax", "steps", "converged", "criterion", "reason")
"""What is said of the course of a relaxation."""
OWN = ("relaxed", "initial_energy", *COURSE, "warnings", "status", "code", "message")
"""What an answer in extXYZ says of itself, besides the model."""


def encode(response: PredictResponse, kind: Kind) -> bytes:
    """The body of an answer: JSON, MessagePack with the same fields and binary arrays, or extXYZ.

    In extXYZ there is one frame for each entry. Relaxed frames say so in their comment line. An
    entry that failed is a frame without results, or without atoms where it was no structure, with
    `status="error"`, its code and message in the comment line.
    """
    if kind == "xyz":
        request, model = response.request, response.model
        pairs = zip(request.entries, response.results, strict=True)
        return "".join(result_frame(*pair, request, model) for pair in pairs).encode()
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
    return document


def head_fields(model: ModelRef) -> dict[str, Any]:
    """What a document says before its results: which model answered, and in which units."""
    named = {"name": model.name, "version": model.version, "digest": model.digest}
    return {"model": named, "units": UNITS}


def result_fields(entry: Entry, result: Result, request: PredictRequest) -> dict[str, Any]:
    """The fields of one result, by the names of the schema."""
    if not isinstance(result, Answered):
        return {"id": entry.id, "status": "error", "error": fault(result).as_json()}
    fields: dict[str, Any] = {"id": entry.id, "status": "ok"}
    fields |= _values(result.prediction, request.properties, request.explicit)
    if result.relaxed is not None:
        fields["relaxed"] = _relaxed(result.relaxed)
    if result.warnings:
        fields["warnings"] = [warning.as_json() for warning in result.warnings]
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


def result_frame(entry: Entry, result: Result, request: PredictRequest, model: ModelRef) -> str:
    """The frame of one result, in extXYZ."""
    info: dict[str, object] = {} if entry.id is None else {"id": entry.id}
    info |= _remarks(entry.info)
    info |= {"model": model.reference, "digest": model.digest}
    if not isinstance(result, Answered):
        return _failed_frame(entry, result, info)
    assert isinstance(entry.structure, Structure)
    structure, prediction = entry.structure, result.prediction
    if result.relaxed is not None:
        structure, prediction = result.relaxed.structure, result.relaxed.prediction
        info |= {"relaxed": True, "initial_energy": result.prediction.energy}
        info |= _course(result.relaxed)
    if result.warnings:
        info["warnings"] = "; ".join(f"{w.code}: {w.message}" for w in result.warnings)
    return format_frame(structure, _values(prediction, request.properties), info)


def _remarks(info: Mapping[str, object]) -> dict[str, object]:
    """What a frame said of its structure, without what only an answer says of itself."""
    return {name: value for name, value in info.items() if name not in OWN}


def _failed_frame(entry: Entry, result: Any, info: dict[str, object]) -> str:
    failed = fault(result)
    info |= {"status": "error", "code": failed.code, "message": failed.message}
    if isinstance(entry.structure, Structure):
        return format_frame(entry.structure, info=info)
    return f"0\n{write_pairs((EMPTY | info).items())}\n"
