"""Streams of lines (NDJSON): what a line asks, and the lines that answer.

Each line that asks holds an item, as `structures` of a JSON body does. Each line that answers has a
`status`: `begin` (the first one: model and units), `warning`, `ok` or `error` (of one structure),
`end` (the last one, with the number of structures and errors), or `broken` in the place of `end`.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from app.errors import EquipotError
from app.formats.record import Writer
from app.formats.registry import WRITERS
from app.protocol import counts, json_text
from app.protocol.encode import ORJSON_OPTIONS, head_fields, record, result_fields
from app.protocol.faults import Fault
from app.protocol.intake import Intake
from app.protocol.items import entries_of
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry, Kind, PredictRequest, RequestLimits
from app.protocol.response import Result


def read_line(line: bytes, number: int, limits: RequestLimits) -> list[Entry]:
    """The entries of a line, or why it has none.

    Args:
        line: a JSON object.
        number: of the line, from 0; entries have it as their `item`.
        limits: each line has those of a request.
    """
    try:
        counts.check_json(line, 1, limits.atoms)
        entries = entries_of(json_text.parse(line), number, Intake(limits), limits)
    except EquipotError as error:
        entries = [Entry(None, error)]
    return [replace(entry, item=number) for entry in entries]


class LineSink:
    """Answers in lines.

    Args:
        model: which answers; None where entries name theirs.
        request: what is asked of each structure.
    """

    def __init__(self, model: ModelRef | None, request: PredictRequest) -> None:
        self._model, self._request = model, request
        self._results = self._errors = 0

    def begin(self) -> bytes:
        """The first line."""
        return _line({"status": "begin", **head_fields(self._model)})

    def result(self, entry: Entry, result: Result) -> bytes:
        """The lines of one result: its warnings, then itself."""
        fields = result_fields(entry, result, self._request)
        self._results += 1
        self._errors += fields["status"] == "error"
        return b"".join((*_warnings(fields), _line(fields)))

    def end(self) -> bytes:
        """The last line."""
        return _line({"status": "end", "structures": self._results, "errors": self._errors})

    def broken(self, fault: Fault) -> bytes:
        """The last line of a stream that could not be read to its end."""
        return _line({"status": "broken", "error": fault.as_json()})


class RecordSink:
    """Answers in a format of `app.formats.registry.WRITERS`.

    Args:
        model: which answers; None where entries name theirs.
        request: what is asked of each structure.
        kind: the format.
    """

    def __init__(self, model: ModelRef | None, request: PredictRequest, kind: Kind) -> None:
        self._model, self._request = model, request
        self._writer: Writer = WRITERS[kind].writer()

    def begin(self) -> bytes:
        """What stands before the first record."""
        return self._writer.begin()

    def result(self, entry: Entry, result: Result) -> bytes:
        """A record."""
        return self._writer.add(record(entry, result, self._request, self._model))

    def end(self) -> bytes:
        """What stands behind the last record."""
        return self._writer.end()


def sink(kind: Kind, model: ModelRef | None, request: PredictRequest) -> LineSink | RecordSink:
    """What writes the answers of a stream."""
    if kind in WRITERS:
        return RecordSink(model, request, kind)
    return LineSink(model, request)


def _warnings(fields: dict[str, Any]) -> Iterator[bytes]:
    for warning in fields.pop("warnings", ()):
        yield _line(
            {
                "id": fields["id"],
                "status": "warning",
                "item": fields.get("item"),
                "warning": warning,
            }
        )


def _line(fields: dict[str, Any]) -> bytes:
    return orjson.dumps(fields, option=ORJSON_OPTIONS | orjson.OPT_APPEND_NEWLINE)
