"""A relaxation or a task that is followed, as server-sent events.

`begin` says which model answers and what structure it is about, `step` where the relaxation is after
some steps, `progress` how many evaluations, relaxations or steps of a task have ended, and `end` is the
document that answers the same request in JSON.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from app.atoms.structure import Structure
from app.protocol.document import structure_fields
from app.protocol.encode import ORJSON_OPTIONS, encode, head_fields
from app.protocol.model_ref import ModelRef
from app.protocol.response import PredictResponse
from app.relax import RelaxationState
from app.relax.state import structure_at
from app.tasks import Stage


def begin(model: ModelRef, structure: Structure) -> bytes:
    """The first event.

    Args:
        model: which answers.
        structure: that is relaxed, as it was sent.
    """
    fields = structure_fields(structure, lambda array: array)
    return _event("begin", {**head_fields(model), "structure": fields})


def step(origin: Structure, state: RelaxationState) -> bytes:
    """Where a relaxation is: its last sound geometry, and what is predicted there.

    Args:
        origin: the structure as it was sent.
        state: of its relaxation. One optimiser step leads from the geometry that is told, which has
            been evaluated, to the one that is evaluated next.
    """
    here = structure_at(origin, state.sound)
    fields: dict[str, Any] = {
        "steps": state.steps - 1,
        "energy": state.prediction.energy,
        "fmax": state.fmax,
        "positions": here.positions,
    }
    if here.cell.any():
        fields["cell"] = here.cell
    return _event("step", fields)


def progress(stage: Stage) -> bytes:
    """How far a task is."""
    return _event("progress", {"stage": stage.name, "done": stage.done, "total": stage.total})


def end(response: PredictResponse) -> bytes:
    """The last event."""
    return b"event: end\ndata: %b\n\n" % encode(response, "json")


def _event(name: str, fields: Mapping[str, Any]) -> bytes:
    data = orjson.dumps(fields, option=ORJSON_OPTIONS)
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
