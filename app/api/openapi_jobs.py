"""What the OpenAPI document says of jobs."""

from copy import deepcopy
from typing import Any

from app.api.body_kinds import EVENT_STREAM, JSON, LINES, MSGPACK, XYZ
from app.api.openapi import BINARY, ERRORS, PREDICT, answer, error, query, ref
from app.jobs.schemas import JobOut, JobsAnswer
from app.protocol.schemas import PredictAnswer
from app.protocol.tasks import TASK_BODIES
from app.tasks import TASKS

TEXT = {"schema": {"type": "string"}}
EVENT = {
    "schema": {
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "event": {"enum": ["progress", "end"]},
            "data": {"type": "string", "description": "the job, as JSON"},
        },
    }
}
UNKNOWN = {404: error("no such job"), **ERRORS}
JOB: dict[str, Any] = {"responses": {200: answer(JobOut, "the job"), **UNKNOWN}}
JOBS: dict[str, Any] = {
    "responses": {200: answer(JobsAnswer, "newest first"), 422: error("no such value"), **ERRORS}
}
CANCEL: dict[str, Any] = {
    "responses": {
        200: answer(JobOut, "the job, which has ended"),
        403: error("a web page of another origin asks"),
        **UNKNOWN,
    }
}
EVENTS: dict[str, Any] = {
    "responses": {
        200: {
            "description": "events `progress` and, at the end, `end`, with the job as data",
            "content": {EVENT_STREAM: EVENT},
        },
        **UNKNOWN,
    }
}
RESULTS: dict[str, Any] = {
    "responses": {
        200: {
            **answer(PredictAnswer, "results, in the order of the structures"),
            "content": {
                **answer(PredictAnswer, "")["content"],
                XYZ: TEXT,
                MSGPACK: BINARY,
                LINES: TEXT,
            },
        },
        422: error("no such value"),
        **UNKNOWN,
    }
}


def _submit() -> dict[str, Any]:
    """As `/predict`, with what is said of the job itself."""
    asked = deepcopy(PREDICT["openapi_extra"])
    asked["parameters"] = [
        *asked["parameters"],
        query(
            "task",
            {"type": "string", "enum": list(TASKS)},
            "which is asked for in the place of predictions, as by `/tasks/{task}`",
        ),
        query("webhook", {"type": "string"}, "URL that is told of the job's end"),
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "who sends the same again with the same key gets the same job",
        },
    ]
    content = asked["requestBody"]["content"][JSON]
    bodies = [content["schema"], *map(ref, TASK_BODIES.values())]
    content["schema"] = {"anyOf": bodies}
    return {
        "status_code": 202,
        "responses": {
            202: {
                **answer(JobOut, "the job, which is at the `Location`"),
                "headers": {"Location": {"schema": {"type": "string"}}},
            },
            404: error("no such model, or task"),
            409: error("the key is that of another request"),
            413: error("over a limit, which is named"),
            415: error("a Content-Type that is not read"),
            422: error("the body is malformed"),
            429: error("there is no room for it; `Retry-After` says when to come back"),
            **ERRORS,
        },
        "openapi_extra": asked,
    }


SUBMIT: dict[str, Any] = _submit()
