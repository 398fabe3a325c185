"""From results to an answer of batched geometry relaxation."""

from collections.abc import Mapping
from typing import Any

import orjson

from app.errors import EquipotError
from app.protocol.alchemi.decode import Relaxation
from app.protocol.encode import ORJSON_OPTIONS, head_fields, model_fields
from app.protocol.faults import fault
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry
from app.protocol.response import Answered, PredictResponse, Result
from app.relax import Relaxed


def encode(asked: Relaxation, response: PredictResponse) -> tuple[int, bytes, tuple[ModelRef, ...]]:
    """Status and body of an answer, and the models that made it."""
    failed = sum(isinstance(result, EquipotError) for result in response.results)
    status = "Success"
    if failed:
        status = "Failed" if failed == len(response.results) else "Partial"
    triples = zip(asked.sent, response.request.entries, response.results, strict=True)
    document: dict[str, Any] = {
        "atoms": [_atoms(*triple) for triple in triples],
        "info": asked.info,
        "status": status,
        "model": head_fields(response.model)["model"],
    }
    whole = response.fault
    if whole is not None:
        document |= {"detail": whole.message, "error": whole.as_json()}
    body = orjson.dumps(document, option=ORJSON_OPTIONS)
    return whole.status if whole else 200, body, response.models


def _atoms(sent: Mapping[str, object], entry: Entry, result: Result) -> dict[str, Any]:
    """One structure: what was sent, with what became of it in its place."""
    own = {} if entry.model is None else {"model": model_fields(entry.model)}
    if not isinstance(result, Answered):
        nothing = dict.fromkeys(("energy", "forces", "stress", "charges"))
        ended = {"converged": False, "optimizer_nsteps": 0}
        return {**sent, **own, **ended, **nothing, "error": fault(result).as_json()}
    assert result.relaxed is not None
    fields = {**sent, **own, **_relaxed(result.relaxed)}
    if sent.get("cell") is not None:
        fields["cell"] = result.relaxed.structure.cell.ravel()
    if result.warnings:
        fields["warnings"] = [warning.as_json() for warning in result.warnings]
    return fields


def _relaxed(relaxed: Relaxed) -> dict[str, Any]:
    prediction = relaxed.prediction
    assert prediction.forces is not None
    return {
        "coord": relaxed.structure.positions.ravel(),
        "converged": relaxed.converged,
        "optimizer_nsteps": relaxed.steps,
        "energy": prediction.energy,
        "forces": prediction.forces.ravel(),
        "stress": None if prediction.stress is None else prediction.stress.ravel(),
        "charges": None,
        "reason": relaxed.reason,
    }
