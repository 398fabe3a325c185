"""What the OpenAPI document says of tasks."""

from typing import Any

from app.api.body_kinds import EVENT_STREAM, FORM, JSON, LINES, MSGPACK
from app.api.openapi import BINARY, LINE, PREDICT, UPLOAD, answer, error, failed, query, ref
from app.formats.registry import FORMATS
from app.protocol.query import COMMON
from app.protocol.schemas import WATER
from app.protocol.tasks import TASK_ANSWERS, TASK_BODIES, TaskOut, TasksAnswer
from app.tasks import TASKS, TaskKind

TASKS_LISTED: dict[str, Any] = {"responses": {200: answer(TasksAnswer, "all tasks")}}
TASK_SHOWN: dict[str, Any] = {
    "responses": {200: answer(TaskOut, "the task"), 404: error("no such task")}
}
HELD = ("json", "msgpack", "lines")
"""Formats that hold what a task finds."""


def _parameters(kind: TaskKind) -> list[dict[str, Any]]:
    """What is asked in the query of bodies of files and lines."""
    shared = [p for p in PREDICT["openapi_extra"]["parameters"] if p["name"] in COMMON]
    form = query("format", {"type": "string", "enum": list(HELD)}, "of the answer")
    own = [
        query(name, _simple(schema), f"bodies of files and lines: {schema.get('description', '')}")
        for name, schema in kind.options.model_json_schema()["properties"].items()
    ]
    return [form, *shared, *own]


def _simple(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an option as one parameter; lists are JSON."""
    stated = schema.get("anyOf", [schema])[0]
    if stated.get("type") not in ("number", "integer", "boolean", "string"):
        return {"type": "string"}
    kept = ("type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    return {key: stated[key] for key in kept if key in stated}


def _described(kind: TaskKind) -> dict[str, Any]:
    answers = TASK_ANSWERS[kind.name]
    ok = {
        JSON: {"schema": ref(answers)},
        MSGPACK: BINARY,
        LINES: {"schema": {"type": "string"}},
        EVENT_STREAM: {"schema": {"type": "string"}},
    }
    texts = {known.media_types[0]: {"schema": {"type": "string"}} for known in FORMATS.values()}
    body = {
        JSON: {
            "schema": ref(TASK_BODIES[kind.name]),
            "example": {"structures": [WATER]},
        },
        MSGPACK: BINARY,
        LINES: {"schema": {"type": "string"}, "example": LINE},
        **texts,
        FORM: {"schema": UPLOAD},
    }
    wrong = {
        status: failed(PREDICT["responses"][status]["description"], each=answers)
        for status in (413, 422, 500, 503)
    }
    return {
        "responses": {
            200: {"description": "at least one structure has an answer", "content": ok},
            **{status: PREDICT["responses"][status] for status in (404, 415, 429)},
            **wrong,
        },
        "openapi_extra": {
            "requestBody": {"required": True, "content": body},
            "parameters": _parameters(kind),
        },
    }


TASK: dict[str, dict[str, Any]] = {name: _described(kind) for name, kind in TASKS.items()}
"""Of the route of each."""
