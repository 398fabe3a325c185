"""Tasks on the wire: bodies that ask for them, and answers, which say of each structure what
`/predict` says of one that is relaxed, and what the task found.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.protocol.schemas import WATER, AskBody, PredictAnswer, ResultOut
from app.protocol.wire import Wire
from app.tasks import TASKS, TaskKind, TaskOptions


class TaskBody(AskBody):
    """Structures, and what is asked of a task.

    The fields of a single structure may stand here in place of `structures`.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"structures": [dict(WATER)]}})

    options: TaskOptions


class TaskOut(Wire):
    """A task that may be asked for."""

    name: str
    summary: str
    path: str = Field(description="where it is asked for, by POST")
    options: dict[str, Any] = Field(description="JSON schema of `options` of its body")
    value: dict[str, Any] = Field(description="JSON schema of `value` of its results")


class TasksAnswer(Wire):
    """All tasks."""

    tasks: list[TaskOut]


def _name(kind: TaskKind, what: str) -> str:
    return "".join(word.capitalize() for word in kind.name.split("-")) + what


def _body(kind: TaskKind) -> type[TaskBody]:
    return create_model(
        _name(kind, "Body"),
        __base__=TaskBody,
        __doc__=f"Structures for the task `{kind.name}`.",
        options=(kind.options, _default(kind)),
    )


def _default(kind: TaskKind) -> Any:
    """That of its options, where none of them has to be stated."""
    if any(field.is_required() for field in kind.options.model_fields.values()):
        return Field(description="what is asked of it")
    return Field(default=kind.options(), description="what is asked of it")


def _answer(kind: TaskKind) -> type[BaseModel]:
    value: Any = kind.value | None
    result = create_model(
        _name(kind, "Result"),
        __base__=ResultOut,
        __doc__=f"What `/predict` says of a relaxed structure, and what `{kind.name}` found.",
        value=(value, None),
    )
    return create_model(
        _name(kind, "Answer"),
        __base__=PredictAnswer,
        __doc__="Results in the order asked.",
        results=(list[result], ...),
    )


TASK_BODIES: Mapping[str, type[TaskBody]] = {name: _body(kind) for name, kind in TASKS.items()}
"""What asks for each task."""
TASK_ANSWERS: Mapping[str, type[BaseModel]] = {name: _answer(kind) for name, kind in TASKS.items()}
"""What answers each."""


def shown() -> TasksAnswer:
    """All tasks, with the schemas of their options and values."""
    return TasksAnswer(tasks=[shown_one(kind) for kind in TASKS.values()])


def shown_one(kind: TaskKind) -> TaskOut:
    """A task, with the schemas of its options and of what it finds."""
    return TaskOut(
        name=kind.name,
        summary=kind.summary,
        path=f"/tasks/{kind.name}",
        options=kind.options.model_json_schema(),
        value=kind.value.model_json_schema(mode="serialization"),
    )
