"""What the OpenAPI document says about bodies and answers that the routes read and write
themselves.
"""

from typing import Any, get_args

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.api.body import JSON, MSGPACK, XYZ
from app.protocol.schemas import (
    PROPERTIES,
    WATER,
    CellFreedom,
    ErrorBody,
    PredictAnswer,
    PredictRequest,
    StructureIn,
)

REF = "#/components/schemas/{model}"
WATER_XYZ = "3\nProperties=species:S:1:pos:R:3 id=water\nO 0.0 0.0 0.119\nH 0.0 0.763 -0.477\nH 0.0 -0.763 -0.477\n"
SCHEMAS: tuple[type[BaseModel], ...] = (PredictRequest, StructureIn, PredictAnswer, ErrorBody)


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": {JSON: {"schema": _ref(ErrorBody)}}}


BINARY = {
    "schema": {
        "type": "string",
        "format": "binary",
        "description": "the fields of JSON; arrays as bytes",
    }
}
CELL = "what of the cell may change; implies relax"


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "schema": schema,
        "description": description,
    }


ERRORS: dict[int | str, dict[str, Any]] = {503: _error("starting, or shutting down")}
MODELS: dict[str, Any] = {"responses": {200: {"description": "`{models: [...]}`"}}}
MODEL: dict[str, Any] = {"responses": {404: _error("no such model"), **ERRORS}}
PREDICT: dict[str, Any] = {
    "responses": {
        200: {
            "description": "at least one structure has an answer",
            "content": {
                JSON: {"schema": _ref(PredictAnswer)},
                XYZ: {"schema": {"type": "string"}, "example": WATER_XYZ},
                MSGPACK: BINARY,
            },
        },
        404: _error("no such model"),
        413: _error("over a limit, which is named"),
        415: _error("a Content-Type other than JSON, MessagePack and XYZ"),
        422: _error("the body is malformed, or none of its structures can be answered"),
        429: _error("the queue is full; `Retry-After` says when to come back"),
        **ERRORS,
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": _ref(PredictRequest),
                    "examples": {
                        "one": {"summary": "one structure", "value": WATER},
                        "relax": {
                            "summary": "relax",
                            "value": {"structures": [WATER], "relax": {"fmax": 0.05}},
                        },
                    },
                },
                XYZ: {"schema": {"type": "string"}, "example": WATER_XYZ},
                MSGPACK: BINARY,
            },
        },
        "parameters": [
            _query("model", {"type": "string"}, "XYZ bodies only: `name` or `name@version`"),
            _query(
                "properties", {"type": "string"}, f"XYZ bodies only: some of {','.join(PROPERTIES)}"
            ),
            _query("relax", {"type": "boolean"}, "XYZ bodies only: relax the structures"),
            _query("fmax", {"type": "number"}, "XYZ bodies only: eV/Å, implies relax"),
            _query("steps", {"type": "integer"}, "XYZ bodies only: most steps, implies relax"),
            _query("optimizer", {"enum": ["fire", "lbfgs"]}, "XYZ bodies only: implies relax"),
            _query(
                "cell", {"enum": [True, False, *get_args(CellFreedom)]}, f"XYZ bodies only: {CELL}"
            ),
            _query(
                "fixed_axes",
                {"type": "string"},
                "XYZ bodies only: some of a,b,c that stay; implies relax",
            ),
            _query(
                "pressure",
                {"type": "number"},
                "XYZ bodies only: eV/Å³, for cells that relax; implies relax",
            ),
        ],
    },
}


def complete(app: FastAPI) -> None:
    """Add the wire types to the app's OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            schema = generate()
            _, definitions = models_json_schema(
                [(m, "validation") for m in SCHEMAS], ref_template=REF
            )
            types = schema.setdefault("components", {}).setdefault("schemas", {})
            types.update(definitions["$defs"])
            items = types["PredictRequest"]["properties"]["structures"]
            items["items"] = _ref(StructureIn)
        return app.openapi_schema or schema

    app.openapi = openapi  # type: ignore[method-assign]
