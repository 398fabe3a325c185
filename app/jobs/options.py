"""What a job asks of each structure, as its row keeps it, and its parts as requests."""

import json
from collections.abc import Hashable
from dataclasses import dataclass, fields, replace
from typing import Any

from app.errors import EquipotError, InvalidFormat, InvalidRequest
from app.jobs.files import file_of
from app.jobs.job import Job, NewJob
from app.jobs.parts import Part, body
from app.protocol.decode import decode
from app.protocol.intake import SMILES
from app.protocol.lines import read_line
from app.protocol.query import DRAWING, asked, asked_of_lines
from app.protocol.request import Entry, Kind, Message, PredictRequest, RequestLimits
from app.relax import RelaxOptions
from app.tasks import TaskCall, TaskKind, task_named

TASK = "task"
"""The parameter of the query that names a task."""
NOT_ASKED = ("entries", "model", "caller")
"""Fields of a request that a job has elsewhere."""


@dataclass(frozen=True, slots=True)
class Body:
    """How the body of a job is read.

    Attributes:
        kind: how it is written.
        query: what was asked beside it.
        prefix: what was asked in it (see `app.jobs.parts`).
        limits: of a request, of which those of structures and atoms do not hold.
    """

    kind: Kind
    query: list[tuple[str, str]]
    prefix: bytes
    limits: RequestLimits

    @property
    def task(self) -> TaskKind | None:
        """That is asked for; None where predictions are.

        Raises:
            UnknownTask: there is no such task.
            InvalidRequest: several are named.
        """
        names = [value for name, value in self.query if name == TASK]
        if len(names) > 1:
            raise InvalidRequest("query parameter task: is given twice; give it once")
        return task_named(names[0]) if names else None

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The query without the task's name."""
        return [each for each in self.query if each[0] != TASK]

    def request(self, part: Part, items: bytes) -> PredictRequest:
        """The request that a part is.

        Parts are bounded by their bytes.

        Raises:
            InputError: the part cannot be read as a whole.
        """
        if self.kind == "files":
            return self._of_file(part, items)
        # No item has more structures than bytes, but for those of SMILES.
        size = len(self.prefix) + len(items)
        structures = size + max(part.structures, 1) * self.limits.conformers
        limits = replace(self.limits, structures=structures, atoms=2 * size + 1)
        if self.kind == "lines":
            request = asked_of_lines(self.asked, self.task)
            return replace(request, entries=_of_lines(items, part.lines, limits))
        content = body(self.kind, self.prefix, items, part.structures)
        before = (part.first, part.lines - self.prefix.count(b"\n"))
        message = Message(self.kind, content, self.asked, self.kind, before=before, task=self.task)
        return decode(message, limits)

    def _of_file(self, part: Part, items: bytes) -> PredictRequest:
        """A part of one of several files; results say which it was."""
        number, file = file_of(self.prefix, part.first)
        if file.error:
            request, _ = asked(self.asked, self.task)
            return replace(
                request, entries=[Entry(file.name, InvalidFormat(file.error), item=number)]
            )
        query = (
            self.query if file.kind == SMILES else [q for q in self.query if q[0] not in DRAWING]
        )
        own = replace(self, kind=file.kind, query=query, prefix=file.prefix)
        request = own.request(part._replace(first=part.first - file.first), items)
        if number is None:
            return request
        return replace(request, entries=[replace(e, item=number) for e in request.entries])

    def entries(self, part: Part, items: bytes) -> list[Entry]:
        """The structures of a part, each with its own error where it is none."""
        try:
            entries = self.request(part, items).entries
        except EquipotError as error:
            return [Entry(None, error)] * part.structures
        if self.kind != "xyz":
            return entries
        unread = InvalidFormat("not read: an error before it hides where it begins")
        missing = part.structures - len(entries)
        return [*entries, *[Entry(None, unread)] * missing]


def _of_lines(items: bytes, first: int, limits: RequestLimits) -> list[Entry]:
    """The entries of lines of JSON, the first of which has this number; blank ones have none."""
    lines = enumerate(items.split(b"\n"), first)
    return [e for n, line in lines if line.strip() for e in read_line(line, n, limits)]


def stored(request: PredictRequest) -> str:
    """What a request asks of each structure, as text."""
    asked = {
        field.name: getattr(request, field.name)
        for field in fields(request)
        if field.name not in NOT_ASKED
    }
    return json.dumps(asked, default=_plain)


def _plain(options: Any) -> Any:
    if isinstance(options, TaskCall):
        # Which were stated decides what may stand beside them.
        stated = options.options.model_dump(mode="json", exclude_unset=True)
        return {"name": options.kind.name, "options": stated}
    return options.model_dump(mode="json")


def task_of(job: NewJob | Job) -> str | None:
    """Name of the task that a job asks for; None where it asks for predictions."""
    task = json.loads(job.options).get("task")
    return None if task is None else str(task["name"])


def request_of(job: NewJob | Job, entries: list[Entry], caller: Hashable = None) -> PredictRequest:
    """What a job asks of some structures.

    Args:
        job: which asks.
        entries: the structures.
        caller: for whom they are evaluated.
    """
    options = json.loads(job.options)
    relax, task = options.pop("relax"), options.pop("task", None)
    options["properties"] = tuple(options["properties"])
    options["relax"] = None if relax is None else RelaxOptions.model_validate(relax, strict=False)
    if task is not None:
        kind = task_named(task["name"])
        asked = kind.options.model_validate(task["options"], strict=False)
        options["task"] = TaskCall(kind, asked)
    return PredictRequest(entries=entries, model=job.model, caller=caller, **options)
