"""`/tasks`: whole tasks in one call."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from app.api.openapi_tasks import TASK, TASK_SHOWN, TASKS_LISTED
from app.api.routes.common import get, json_response
from app.api.routes.predict import answered
from app.protocol.tasks import shown, shown_one
from app.tasks import TASKS, TaskKind, task_named

PATH = "/tasks"
router = APIRouter(tags=["tasks"])


@get(router, PATH, summary="All tasks, and what may be asked of them", **TASKS_LISTED)
async def tasks() -> Response:
    """Names, what each is for, and the schemas of its options and of what it finds."""
    return json_response(shown())


@get(router, f"{PATH}/{{name}}", summary="What may be asked of a task", **TASK_SHOWN)
async def described(name: str) -> Response:
    """What it is for, and the schemas of its options and of what it finds."""
    return json_response(shown_one(task_named(name)))


def _endpoint(kind: TaskKind) -> Callable[[Request], Awaitable[Response]]:
    async def task(request: Request) -> Response:
        return await answered(request, kind)

    return task


for _kind in TASKS.values():
    router.post(
        f"{PATH}/{_kind.name}",
        name=_kind.name,
        summary=_kind.summary[0].upper() + _kind.summary[1:],
        description=(_kind.options.__doc__ or "").strip(),
        operation_id=_kind.name.replace("-", "_"),
        **TASK[_kind.name],
    )(_endpoint(_kind))


@router.post(f"{PATH}/{{name}}", include_in_schema=False)
async def unknown(name: str) -> None:
    """There is no such task: those that there are have routes of their own."""
    task_named(name)
