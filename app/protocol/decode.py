"""From a message to the request that it holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import ormsgpack

from app.atoms.properties import DEFAULT
from app.errors import InvalidFormat, InvalidRequest
from app.formats.registry import kind_of
from app.protocol import counts, json_text
from app.protocol.intake import Intake, check_drawn
from app.protocol.items import entries_of
from app.protocol.query import asked
from app.protocol.request import Entry, Kind, Message, PredictRequest, RequestLimits, Upload
from app.protocol.schemas import AskBody, PredictBody
from app.protocol.tasks import TASK_BODIES, TaskBody
from app.protocol.validation import validate
from app.tasks import TaskCall, TaskKind

B = TypeVar("B", bound=AskBody)


def decode(message: Message, limits: RequestLimits) -> PredictRequest:
    """The request that a message holds.

    Raises:
        InvalidFormat: the body is not what it is said to be.
        InvalidRequest: an unknown or ill-typed field outside the structures, or too many steps.
        StructureTooLarge: more structures or atoms than a request may have.
    """
    if message.kind not in DOCUMENTS:
        files = message.files or [Upload("", message.body, message.kind)]
        request = _from_files(files, message, limits)
    elif message.query:
        names = ", ".join(name for name, _ in message.query)
        raise InvalidRequest(
            f"query parameters ({names}) go with bodies of files; put them into the body"
        )
    else:
        request = _from_document(
            DOCUMENTS[message.kind](message.body, limits), message.task, limits
        )
    if request.relax is not None:
        request = replace(request, relax=limits.bounded(request.relax))
    if request.task is not None:
        task = limits.bounded_task(request.task)
        task.check_count(sum(entry.count for entry in request.entries))
        request = replace(request, task=task)
    limits.check_atoms(request.n_atoms)
    return request


def _from_document(
    document: object, task: TaskKind | None, limits: RequestLimits
) -> PredictRequest:
    body = parse_body(document, PredictBody if task is None else TASK_BODIES[task.name])
    limits.check_structures(len(body.structures))
    intake = Intake(limits)
    items = enumerate(body.structures)
    entries = [e for number, item in items for e in entries_of(item, number, intake, limits)]
    request = PredictRequest(
        entries=entries,
        model=body.model,
        strict=body.strict,
        on_ood=body.on_ood,
        allow_odd_electrons=body.allow_odd_electrons,
    )
    if task is not None and isinstance(body, TaskBody):
        return replace(request, task=TaskCall(task, body.options))
    assert isinstance(body, PredictBody)
    explicit = body.properties is not None
    properties = tuple(body.properties) if body.properties is not None else DEFAULT
    return replace(request, properties=properties, relax=body.relax, explicit=explicit)


def _from_files(files: Sequence[Upload], message: Message, limits: RequestLimits) -> PredictRequest:
    """A request on files; one that cannot be read is an error in its place, if it is not the only one."""
    request, drawing = asked(message.query, message.task)
    intake, entries, kinds = Intake(limits), list[Entry](), set[Kind]()
    for number, file in enumerate(files):
        try:
            kind = file.kind or kind_of(file.content, file.name)
            kinds.add(kind)
            found = list(intake.entries(file.content, kind, drawing, message.before))
        except InvalidFormat as error:
            if len(files) == 1:
                raise
            found = [intake.take(Entry(file.name, error))]
        if len(files) == 1 == len(found) and isinstance(found[0].structure, InvalidFormat):
            raise found[0].structure
        entries += found if len(files) == 1 else [replace(e, item=number) for e in found]
    check_drawn([name for name, _ in message.query], kinds)
    return replace(request, entries=entries)


def _json(body: bytes, limits: RequestLimits) -> object:
    counts.check_json(body, limits.structures, limits.atoms)
    return json_text.parse(body)


def _msgpack(body: bytes, limits: RequestLimits) -> object:
    entries = counts.check_msgpack(body, limits.structures, limits.atoms)
    try:
        value = ormsgpack.unpackb(body)
    except ormsgpack.MsgpackDecodeError as error:
        raise InvalidFormat(f"the body is not valid MessagePack: {error}") from None
    if entries > _entries(value):
        raise InvalidRequest("a key stands twice in one map; which of the two is meant?")
    return value


def _entries(value: object) -> int:
    """Entries of all maps in a value."""
    if isinstance(value, dict):
        return len(value) + sum(map(_entries, value.values()))
    if not isinstance(value, list):
        return 0
    return sum(_entries(item) for item in value if isinstance(item, dict | list))


def parse_body(document: object, schema: type[B]) -> B:
    """The wire type of a decoded body.

    Raises:
        InvalidRequest: naming the field and what it may be.
    """
    if not isinstance(document, dict):
        raise InvalidRequest(
            "the body must be a JSON object with 'structures', or with the fields of one structure"
        )
    if "schema_name" in document:
        raise InvalidRequest(
            "schema_name: documents of QCSchema are answered by POST /predict alone, one at a time, in "
            "JSON and without events; send the service's own fields here"
        )
    if "structures" not in document:
        fields = schema.model_fields
        single = {key: value for key, value in document.items() if key not in fields}
        document = {key: value for key, value in document.items() if key in fields}
        if not single:
            raise InvalidRequest(
                "structures: missing; send a list of them, or the fields of one structure"
            )
        document["structures"] = [single]
    return validate(schema, document)


DOCUMENTS: Mapping[str, Callable[[bytes, RequestLimits], object]] = {
    "json": _json,
    "msgpack": _msgpack,
}
"""How bodies are read that say all that is asked themselves; others are files."""
