"""Calls: what is asked of a service and what its answers say, without input and output."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from equipot.arrays import check_options, pack, unpack, without_arrays
from equipot.errors import ConnectionFailed, UnknownModel, UnknownTask
from equipot.options import AskOptions, RelaxOptions
from equipot.request import Call, Request, shown
from equipot.results import Model, Result, Results
from equipot.stages import Progress, StageReader
from equipot.structures import Item, end_points

MSGPACK = "application/x-msgpack"
MOST_ITEMS = 256
"""Of one request; more go as a stream."""
MOST_ATOMS = 20_000
"""Of one request, unless one structure has more."""
PREDICT = "/predict"
TASKS = "/tasks"


def is_small(items: Sequence[Item]) -> bool:
    """Whether one request takes them all."""
    atoms = sum(len(item.fields.get("positions", ())) for item in items)
    return len(items) <= MOST_ITEMS and (atoms <= MOST_ATOMS or len(items) == 1)


def predict(items: Sequence[Item], path: str, options: Mapping[str, Any]) -> Call[Results]:
    """One request for all items; what cannot be sent has its error in its place.

    Args:
        items: the structures.
        path: where.
        options: what is asked of all.
    """
    sent = [(index, item) for index, item in enumerate(items) if item.error is None]
    results = [failed(item, index) for index, item in enumerate(items) if item.error is not None]
    if sent:
        body = {**options, "structures": [dict(item.fields) for _, item in sent]}
        headers = {"Content-Type": MSGPACK, "Accept": MSGPACK}
        response = yield Request("POST", path, headers=headers, content=pack(body))
        answer = unpack(response.content)
        model = Model.of(answer["model"])
        places = _places(answer["results"], sent)
        for fields, (index, item) in zip(answer["results"], places, strict=True):
            results.append(Result.of(fields, index, model, item.fields))
    return Results(sorted(results, key=lambda result: result.index))


def is_followed(items: Sequence[Item], progress: Progress) -> bool:
    """Whether a task is told of while it goes on: that of one structure is."""
    return bool(progress) and len(items) == 1 and items[0].single and items[0].error is None


def followed(item: Item, path: str, options: Mapping[str, Any]) -> Request:
    """What asks for a task of one structure, and for its course."""
    body = {**options, "structures": [dict(item.fields)]}
    headers = {"Content-Type": MSGPACK, "Accept": "text/event-stream"}
    return Request("POST", path, headers=headers, content=pack(body), streamed=True)


def end_of(reader: StageReader, item: Item, url: str) -> Results:
    """The results of a task that was followed at a service.

    Raises:
        ConnectionFailed: its end has not come.
    """
    if reader.answer is None:
        raise ConnectionFailed(f"{shown(url)}: the connection ended before the task did; ask again")
    (fields,) = reader.answer["results"]
    return Results([Result.of(fields, 0, Model.of(reader.answer["model"]), item.fields)])


def failed(item: Item, index: int) -> Result:
    """The result of what cannot be sent."""
    name = item.fields.get("id")
    return Result(name, index, error=item.error, structure=None)


def in_order(results: Iterable[Result]) -> Results:
    """Results of a stream, in the order asked."""
    return Results(sorted(results, key=lambda result: (result.index, _number(result.id))))


def listing() -> Call[dict[str, Any]]:
    """All models of the store (`models`), and the names that stand for some of them (`aliases`)."""
    response = yield Request("GET", "/models")
    listed: dict[str, Any] = response.json()
    return listed


def models() -> Call[list[dict[str, Any]]]:
    """All models of the store."""
    listed: list[dict[str, Any]] = (yield from listing())["models"]
    return listed


def model(name: str) -> Call[dict[str, Any]]:
    """All that is known of one that is served.

    Raises:
        UnknownModel: there is none of that name.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_][\w.@-]*", name):
        raise UnknownModel("unknown_model", f"no model '{name!s:.80}'")
    response = yield Request("GET", f"/models/{name}")
    known: dict[str, Any] = response.json()
    return known


def relaxing(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `predict` for those of `relax`, where how to relax stands among them."""
    names = RelaxOptions.__annotations__
    how = {name: value for name, value in options.items() if name in names}
    others = {name: value for name, value in options.items() if name not in names}
    return {**others, "relax": how or True}


def tasks() -> Call[list[dict[str, Any]]]:
    """All tasks of the service."""
    response = yield Request("GET", TASKS)
    listed: list[dict[str, Any]] = response.json()["tasks"]
    return listed


def asked(task: str | None, options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Where something is asked for, and what of it.

    Args:
        task: name of a task; None where predictions are asked for.
        options: a task's own stand beside those of its request.

    Raises:
        UnknownTask: that is no name of a task.
        InvalidRequest: an option is nothing that can be sent.
    """
    if task is None:
        check_options(options)
        return PREDICT, options
    return f"{TASKS}/{named_task(task)}", of_task(options)


def named_task(task: str) -> str:
    """The name of a task.

    Raises:
        UnknownTask: that is none.
    """
    if not isinstance(task, str) or not re.fullmatch(r"[a-z][a-z-]*", task):
        raise UnknownTask("unknown_task", f"no task '{task!s:.80}'")
    return task


def of_task(options: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked of a task, whose own options stand beside those of its request, as a body has it.

    Raises:
        InvalidRequest: an option is nothing that can be sent.
    """
    names = AskOptions.__annotations__
    own = {name: value for name, value in options.items() if name not in names}
    if "ends" in own:
        own["ends"] = end_points(own["ends"])
    check_options({**options, **own})
    others = {name: value for name, value in options.items() if name in names}
    return {**others, "options": without_arrays(own)}


def _places(
    results: Sequence[Mapping[str, Any]], sent: Sequence[tuple[int, Item]]
) -> Iterator[tuple[int, Item]]:
    """The item of each result: the one that it names, else the next one that is a structure."""
    structures = iter([each for each in sent if "positions" in each[1].fields])
    whole = len(results) == len(sent)
    for number, fields in enumerate(results):
        if fields.get("item") is not None:
            yield sent[fields["item"]]
        else:
            yield sent[number] if whole else next(structures)


def _number(name: str | None) -> int:
    """Of a conformer or a record, as its id ends."""
    last = (name or "").rpartition(":")[2]
    return int(last) if last.isdecimal() else 0
