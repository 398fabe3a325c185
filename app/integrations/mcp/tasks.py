"""Tools that are tasks: one for each, as it is described in `app.tasks`."""

from collections.abc import Callable
from typing import Any

from ase.formula import Formula
from mcp.server.mcpserver import Context
from typing_extensions import TypedDict

from app.integrations.mcp.asking import Asking
from app.integrations.mcp.options import ModelName, Odd, Strict, Structures, common
from app.integrations.mcp.rows import ROWS, brief, doubts, symbols_of
from app.tasks import TASKS, TaskKind, TaskOptions
from equipot import Result, Results, calls


class TaskAnswer(TypedDict, total=False):
    """What a task found."""

    warnings: list[str]
    failed: int
    model: str
    answer_id: str
    n_structures: int
    rows: list[dict[str, Any]]
    more: str


def task_tools(asking: Asking) -> list[Callable[..., Any]]:
    """A tool for each task.

    Args:
        asking: whom they ask.
    """
    return [_tool(kind, asking) for kind in TASKS.values()]


def _tool(kind: TaskKind, asking: Asking) -> Callable[..., Any]:
    async def task(
        structures: Structures,
        context: Context,
        options: TaskOptions | None = None,
        model: ModelName = None,
        refuse_out_of_domain: Strict = False,
        allow_odd_electrons: Odd = False,
    ) -> TaskAnswer:
        stated = options.model_dump(exclude_unset=True) if options else {}
        asked = common(model, refuse_out_of_domain, allow_odd_electrons) | stated
        items = asking.items(structures)
        async with asking.client(context) as client:
            results = await client.run(
                calls.predict(items, *calls.asked(kind.name, _without_none(asked)))
            )
        return _answer(results, asking)

    task.__annotations__["options"] = kind.options | None
    task.__name__ = kind.name.replace("-", "_")
    task.__doc__ = (
        f"{kind.summary[0].upper()}{kind.summary[1:]}. {kind.options.__doc__} Structures are relaxed "
        "first (max_steps), and kept under answer_id; look at warnings and errors of each."
    )
    return task


def _without_none(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def _answer(results: Results, asking: Asking) -> TaskAnswer:
    said = TaskAnswer(warnings=doubts(results), failed=len(results.failed))
    if (model := results.model) is not None:
        said["model"] = model.reference
    if results.ok:
        said["answer_id"] = asking.kept.keep(results)
    said["n_structures"] = len(results)
    said["rows"] = [_row(index, result) for index, result in enumerate(results[:ROWS])]
    if len(results) > ROWS:
        said["more"] = f"{len(results) - ROWS} more; send fewer structures at a time"
    return said


def _row(index: int, result: Result) -> dict[str, Any]:
    """What was found for one structure; long lists are cut, and arrays left out."""
    row: dict[str, Any] = {"index": index}
    if result.id is not None:
        row["id"] = result.id
    if result.error is not None:
        return row | {"error": f"{result.error.code}: {result.error.message}"}
    row["formula"] = Formula.from_list(symbols_of(result)).format("hill")
    return row | brief(result.value or {})
