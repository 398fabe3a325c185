"""What the OpenAPI document says of the protocols of others."""

from typing import Any

from pydantic import BaseModel

from app.api.body_kinds import JSON, OCTETS
from app.api.openapi import answer, failed, query, ref
from app.protocol.alchemi.schemas import (
    Health,
    RelaxAnswer,
    RelaxError,
    RelaxRequest,
    RelaxStatus,
)
from app.protocol.open_inference.schemas import (
    InferRequest,
    InferResponse,
    ModelMetadata,
    ModelReady,
    ProtocolError,
    ServerLive,
    ServerMetadata,
    ServerReady,
)

ARGON_TENSORS = {
    "inputs": [
        {"name": "numbers", "shape": [2], "datatype": "INT64", "data": [18, 18]},
        {
            "name": "positions",
            "shape": [2, 3],
            "datatype": "FP64",
            "data": [0.0, 0.0, 0.0, 0.0, 0.0, 4.0],
        },
    ],
    "outputs": [{"name": "energy"}],
}
TENSORS = {
    "type": "string",
    "format": "binary",
    "description": "JSON of `Inference-Header-Content-Length` bytes, then the tensors",
}


def _error(description: str) -> dict[str, Any]:
    return answer(ProtocolError, description)


def _answers(model: type[BaseModel], description: str) -> dict[str, Any]:
    """Responses about a model."""
    unknown = {404: _error("no such model"), 503: _error("starting, shutting down, or refused")}
    return {"responses": {200: answer(model, description), **unknown}}


SERVER: dict[str, Any] = {"responses": {200: answer(ServerMetadata, "this service")}}
LIVE: dict[str, Any] = {"responses": {200: answer(ServerLive, "alive")}}
SERVER_READY: dict[str, Any] = {
    "responses": {
        200: answer(ServerReady, "ready"),
        503: answer(ServerReady, "starting, or shutting down"),
    }
}
MODEL_METADATA = _answers(ModelMetadata, "its tensors")
MODEL_READY = _answers(ModelReady, "ready")
INFER: dict[str, Any] = {
    "responses": {
        200: {
            "description": "all structures have an answer",
            "content": {JSON: {"schema": ref(InferResponse)}, OCTETS: {"schema": TENSORS}},
        },
        400: _error("malformed, or a structure that cannot be answered, which is named"),
        404: _error("no such model"),
        408: _error("the body did not come in time"),
        413: _error("over a limit, which is named"),
        415: _error("a Content-Type that is not read"),
        429: _error("the queue is full; `Retry-After` says when to come back"),
        500: _error("the model failed, or the service did"),
        503: _error("starting, shutting down, or out of memory"),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": ref(InferRequest), "example": ARGON_TENSORS},
                OCTETS: {"schema": TENSORS},
            },
        }
    },
}


ARGON_ATOMS = {
    "atoms": [
        {
            "coord": [0.0, 0.0, 0.0, 0.0, 0.0, 4.0],
            "numbers": [18, 18],
            "pbc": [False, False, False],
            "structure_id": "dimer",
        }
    ],
    "opttol": 0.005,
}


def _relax_error(description: str) -> dict[str, Any]:
    return answer(RelaxError, description)


RELAX_LIVE: dict[str, Any] = {"responses": {200: answer(Health, "alive")}}
RELAX_READY: dict[str, Any] = {
    "responses": {200: answer(Health, "ready"), 503: _relax_error("starting, or shutting down")}
}
RELAX_STATUS: dict[str, Any] = {"responses": {200: answer(RelaxStatus, "since the start")}}
RELAX: dict[str, Any] = {
    "responses": {
        200: answer(RelaxAnswer, "at least one structure has an answer"),
        404: _relax_error("no such model"),
        408: _relax_error("the body did not come in time"),
        413: failed("over a limit, which is named", RelaxError, RelaxAnswer),
        415: _relax_error("a Content-Type that is not read"),
        422: failed(
            "the body is malformed, or none of its structures can be answered",
            RelaxError,
            RelaxAnswer,
        ),
        429: _relax_error("the queue is full; `Retry-After` says when to come back"),
        500: failed("the model failed, or the service did", RelaxError, RelaxAnswer),
        503: failed("starting, shutting down, or out of memory", RelaxError, RelaxAnswer),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": ref(RelaxRequest), "example": ARGON_ATOMS}},
        },
        "parameters": [query("model", {"type": "string"}, "`name` or `name@version`")],
    },
}
