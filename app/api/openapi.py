"""What the OpenAPI document says of what the routes read and write themselves."""

import json
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import PlainTextResponse

from app.api.access import is_open
from app.api.body_kinds import (
    EVENT_STREAM,
    FORM,
    HTML,
    INPUT_FORMAT,
    JSON,
    LINES,
    MEDIA_TYPES,
    MSGPACK,
    XYZ,
)
from app.atoms.properties import NAMES
from app.formats.registry import FORMATS, WRITERS
from app.jobs.schemas import JobOut, JobsAnswer
from app.protocol.admin import AdminAnswer, DefaultIn
from app.protocol.alchemi.schemas import (
    Health,
    RelaxAnswer,
    RelaxAtoms,
    RelaxError,
    RelaxRequest,
    RelaxStatus,
)
from app.protocol.item_types import FileIn, SmilesIn
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
from app.protocol.schemas import (
    WATER,
    Alive,
    ErrorBody,
    Index,
    ModelAnswer,
    ModelsAnswer,
    PredictAnswer,
    PredictBody,
    Ready,
    StructureIn,
)
from app.protocol.tasks import TASK_ANSWERS, TASK_BODIES, TasksAnswer
from app.relax import RelaxOptions

REF = "#/components/schemas/{model}"
WATER_XYZ = "3\nProperties=species:S:1:pos:R:3 id=water\nO 0.0 0.0 0.119\nH 0.0 0.763 -0.477\nH 0.0 -0.763 -0.477\n"
LINE = json.dumps(WATER) + "\n"
FILE = {"format": "xyz", "content": WATER_XYZ}
ACID = {"smiles": "CC(=O)O", "conformers": 2, "id": "acid"}
SCHEMAS: tuple[type[BaseModel], ...] = (
    PredictBody,
    StructureIn,
    FileIn,
    SmilesIn,
    PredictAnswer,
    ModelsAnswer,
    ModelAnswer,
    Index,
    Alive,
    Ready,
    ErrorBody,
    JobOut,
    JobsAnswer,
    AdminAnswer,
    DefaultIn,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ModelReady,
    ServerMetadata,
    ServerLive,
    ServerReady,
    ProtocolError,
    RelaxRequest,
    RelaxAtoms,
    RelaxAnswer,
    RelaxError,
    RelaxStatus,
    Health,
    TasksAnswer,
    *TASK_BODIES.values(),
    *TASK_ANSWERS.values(),
)


def ref(model: type[BaseModel]) -> dict[str, str]:
    """Where the schema of a wire type is."""
    return {"$ref": REF.format(model=model.__name__)}


def answer(model: type[BaseModel], description: str) -> dict[str, Any]:
    """A response with a wire type."""
    return {"description": description, "content": {JSON: {"schema": ref(model)}}}


def error(description: str) -> dict[str, Any]:
    """A response without results."""
    return answer(ErrorBody, description)


def failed(
    description: str, whole: type[BaseModel] = ErrorBody, each: type[BaseModel] = PredictAnswer
) -> dict[str, Any]:
    """An error for the whole request, or for each of its structures."""
    either = {"anyOf": [ref(whole), ref(each)]}
    return {"description": description, "content": {JSON: {"schema": either}}}


BINARY = {
    "schema": {
        "type": "string",
        "format": "binary",
        "description": "the fields of JSON; arrays as bytes",
    }
}


UPLOAD = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "one or several"},
        INPUT_FORMAT: {
            "type": "string",
            "enum": list(FORMATS),
            "description": "of the files, where names and contents do not say it",
        },
    },
    "additionalProperties": {"type": "string"},
    "description": "files, and in other fields what the query says elsewhere",
}


def query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    """A parameter of the query."""
    return {
        "name": name,
        "in": "query",
        "required": False,
        "schema": schema,
        "description": description,
    }


def _relax_parameters() -> list[dict[str, Any]]:
    """A query parameter for each option of a relaxation."""
    parameters = []
    for name, schema in RelaxOptions.model_json_schema()["properties"].items():
        stated = schema.get("anyOf", [schema])[0]
        kind = {key: stated[key] for key in ("type", "enum") if key in stated}
        if kind["type"] == "array":
            kind = {"type": "string"}
        if name == "cell":
            kind = {"type": "string", "enum": ["true", "false", *schema["enum"]]}
        text = f"bodies of files and lines, implies relax: {schema['description']}"
        parameters.append(query(name, kind, text))
    return parameters


ERRORS: dict[int | str, dict[str, Any]] = {503: error("starting, or shutting down")}
INDEX: dict[str, Any] = {
    "responses": {
        200: {
            "description": "this service: to a browser, a page to use it by",
            "content": {JSON: {"schema": ref(Index)}, HTML: {"schema": {"type": "string"}}},
        }
    }
}
ALIVE: dict[str, Any] = {"responses": {200: answer(Alive, "alive")}}
READY: dict[str, Any] = {"responses": {200: answer(Ready, "ready"), **ERRORS}}
METRICS: dict[str, Any] = {
    "response_class": PlainTextResponse,
    "responses": {200: {"description": "in Prometheus' text format"}},
}
MODELS: dict[str, Any] = {"responses": {200: answer(ModelsAnswer, "served and refused models")}}
MODEL: dict[str, Any] = {
    "responses": {
        200: answer(ModelAnswer, "its card, and how it is run"),
        404: error("no such model"),
        **ERRORS,
    }
}
PLOT: dict[str, Any] = {
    "responses": {
        200: {
            "description": "the picture",
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        },
        404: error("no such model, or no such plot of it"),
        **ERRORS,
    }
}
PREDICT: dict[str, Any] = {
    "responses": {
        200: {
            "description": "at least one structure has an answer",
            "content": {
                JSON: {"schema": ref(PredictAnswer)},
                XYZ: {"schema": {"type": "string"}, "example": WATER_XYZ},
                MSGPACK: BINARY,
                LINES: {"schema": {"type": "string"}},
                EVENT_STREAM: {"schema": {"type": "string"}},
                **{
                    written.media_type: {"schema": {"type": "string"}}
                    for kind, written in WRITERS.items()
                    if kind != "xyz"
                },
            },
        },
        404: error("no such model"),
        413: failed("over a limit, which is named"),
        415: error("a Content-Type that is not read"),
        422: failed("the body is malformed, or none of its structures can be answered"),
        429: error(
            "the queue is full, or the key asks too much; `Retry-After` says when to come back"
        ),
        500: failed("the model failed, or the service did"),
        503: failed("starting, shutting down, or out of memory"),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": ref(PredictBody),
                    "examples": {
                        "one": {"summary": "one structure", "value": WATER},
                        "files": {
                            "summary": "a file's content, and conformers of a SMILES",
                            "value": {"structures": [FILE, ACID]},
                        },
                        "relax": {
                            "summary": "relax",
                            "value": {"structures": [WATER], "relax": {"fmax": 0.05}},
                        },
                    },
                },
                XYZ: {"schema": {"type": "string"}, "example": WATER_XYZ},
                MSGPACK: BINARY,
                LINES: {"schema": {"type": "string"}, "example": LINE},
                **{
                    known.media_types[0]: {"schema": {"type": "string"}}
                    for kind, known in FORMATS.items()
                    if kind != "xyz"
                },
                FORM: {"schema": UPLOAD},
            },
        },
        "parameters": [
            query(
                "format",
                {"type": "string", "enum": list(MEDIA_TYPES)},
                "of the answer, in place of Accept",
            ),
            query(
                "model", {"type": "string"}, "bodies of files and lines: `name` or `name@version`"
            ),
            query(
                "properties",
                {"type": "string"},
                f"bodies of files and lines: some of {','.join(NAMES)}",
            ),
            query(
                "strict", {"type": "boolean"}, "bodies of files and lines: a warning is an error"
            ),
            query(
                "on_ood",
                {"type": "string", "enum": ["warn", "error"]},
                "bodies of files and lines: whether what is out of the model's domain is refused",
            ),
            query(
                "allow_odd_electrons",
                {"type": "boolean"},
                "bodies of files and lines: answer for radicals",
            ),
            query("relax", {"type": "boolean"}, "bodies of files and lines: relax the structures"),
            *(
                query(name, {"type": "integer", "minimum": 1}, f"of SMILES in files: {text}")
                for name, text in (("conformers", "geometries of each"), ("seed", "of them"))
            ),
            *_relax_parameters(),
        ],
    },
}


REFUSED = {
    "401": error("where keys are wanted: none, or none that is known"),
    "403": error("the key may not do this, or a page of another origin asks"),
    "429": error("the key asks too often, or for too much at a time; `Retry-After` says how long"),
}


def _add_access(schema: dict[str, Any]) -> None:
    """Say how a key is sent, and what those are told who have none or ask too much."""
    how = {"type": "http", "scheme": "bearer", "description": "of a service that wants keys"}
    schema["components"]["securitySchemes"] = {"key": how}
    schema["security"] = [{}, {"key": []}]
    for path, methods in schema["paths"].items():
        for operation in methods.values() if not is_open(path) else ():
            operation["responses"] = {**_refused(path), **operation["responses"]}


def _refused(path: str) -> dict[str, Any]:
    """The same of one path; other protocols tell errors in their own shapes."""
    if path.startswith(("/v1/", "/v2")):
        return {status: {"description": told["description"]} for status, told in REFUSED.items()}
    return REFUSED


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
            _add_access(schema)
            bodies: list[type[BaseModel]] = [PredictBody, *TASK_BODIES.values()]
            for body in bodies:
                items = types[body.__name__]["properties"]["structures"]
                items["items"] = {"anyOf": [ref(item) for item in (StructureIn, FileIn, SmilesIn)]}
            types["RelaxRequest"]["properties"]["atoms"]["items"] = ref(RelaxAtoms)
        return app.openapi_schema or schema

    app.openapi = openapi  # type: ignore[method-assign]
