"""What the OpenAPI document says of the protocols of others."""

from typing import Any

from pydantic import BaseModel

from app.api.body_kinds import JSON, OCTETS
from app.api.openapi import answer, ref
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
