"""Where results go: written as they come, such that what a stopped run leaves can be used."""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

import orjson

from app.errors import EquipotError, InvalidRequest
from app.formats.compression import compressing
from app.formats.extxyz.comment_line import read_pairs
from app.formats.registry import WRITERS
from app.protocol.encode import ORJSON_OPTIONS, head_fields, record, result_fields
from app.protocol.faults import fault
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Result
from app.protocol.tally import Outcome

SMALL = 6
"""Rows of a table that people are shown."""
LISTED = 9
"""Numbers of a list that people are shown."""


class Written(NamedTuple):
    """A result that a file holds.

    Attributes:
        outcome: what became of the structure.
        end: bytes from the file's beginning to the result's end.
    """

    outcome: Outcome
    end: int


class Form(ABC):
    """How results are written: a head, results with something between them, and a tail.

    Args:
        model: which answers.
        request: what is asked of each structure.

    Attributes:
        head: what stands before the first result.
        between: what stands between two of them.
        rewrites: whether the tail is the same at any time, so that it can be written after every
            result, and overwritten by the next one.
    """

    head = b""
    between = b""
    rewrites = True

    def __init__(self, model: ModelRef, request: PredictRequest) -> None:
        self.model, self.request = model, request

    @abstractmethod
    def result(self, entry: Entry, result: Result) -> bytes:
        """One result."""

    def tail(self) -> bytes:
        """What stands behind the last result."""
        return b""

    def written(self, file: BinaryIO) -> Iterator[Written]:
        """The whole results in a file that has been written in this form, perhaps not to its end.

        Raises:
            InvalidRequest: that cannot be told of this form.
        """
        raise InvalidRequest("--resume goes on with xyz and json alone")


class Records(Form):
    """Records of a format of `app.formats.registry.WRITERS`.

    Args:
        model: which answers.
        request: what is asked of each structure.
        kind: the format.
    """

    def __init__(self, model: ModelRef, request: PredictRequest, kind: str) -> None:
        super().__init__(model, request)
        self._single = WRITERS[kind].single
        self._writer = WRITERS[kind].writer()
        self.head = self._writer.begin()
        self.rewrites = False

    def result(self, entry: Entry, result: Result) -> bytes:
        """See `Form`; of a file that holds no errors, nothing for one."""
        if self._single and isinstance(result, EquipotError):
            return b""
        return self._writer.add(record(entry, result, self.request, self.model))

    def tail(self) -> bytes:
        """See `Form`."""
        return self._writer.end()


class Xyz(Records):
    """Frames of extXYZ."""

    def __init__(self, model: ModelRef, request: PredictRequest) -> None:
        super().__init__(model, request, "xyz")

    def written(self, file: BinaryIO) -> Iterator[Written]:
        """See `Form`."""
        end = 0
        for line in file:
            atoms = int(line) if line.strip().isdigit() else -1
            lines = [line, *islice(file, atoms + 1)]
            if atoms < 0 or len(lines) < atoms + 2 or not lines[-1].endswith(b"\n"):
                return
            end += sum(map(len, lines))
            yield Written(Outcome.of_pairs(read_pairs(lines[1].decode())), end)


class Json(Form):
    """A JSON document with a line for each result."""

    between = b",\n"

    def tail(self) -> bytes:
        """See `Form`."""
        return b"\n]}\n"

    def __init__(self, model: ModelRef, request: PredictRequest) -> None:
        super().__init__(model, request)
        self.head = orjson.dumps(head_fields(model))[:-1] + b',"results":[\n'

    def result(self, entry: Entry, result: Result) -> bytes:
        """See `Form`."""
        return orjson.dumps(result_fields(entry, result, self.request), option=ORJSON_OPTIONS)

    def written(self, file: BinaryIO) -> Iterator[Written]:
        """See `Form`."""
        begin = len(next(iter(file), b""))
        for line in file:
            content = line.rstrip(b",\n")
            try:
                fields = orjson.loads(content)
            except orjson.JSONDecodeError:
                return
            yield Written(Outcome.of_fields(fields), begin + len(content))
            begin += len(line)


class Text(Form):
    """What a task finds, in lines for people: all that is one number or word."""

    between = b"\n"
    rewrites = False

    def result(self, entry: Entry, result: Result) -> bytes:
        """See `Form`."""
        name = entry.id or "structure"
        if isinstance(result, EquipotError):
            return f"{name}: {fault(result).code}: {result}\n".encode()
        assert result.value is not None
        lines = [f"{name}"]
        lines += [f"  {key:<32} {_shown(v)}" for key, v in _plain(result.value.model_dump())]
        return "\n".join((*lines, "")).encode()


def _plain(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values of what can be told in a line; numbers in a list are cut after the first few, and
    whole files are left out.
    """
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _plain(value, f"{before}{name}.")
        elif isinstance(value, list) and value and not isinstance(value[0], int | float | str):
            for number, each in enumerate(value[:LISTED]):
                if isinstance(each, dict):
                    yield from _plain(each, f"{before}{name}.{number}.")
                elif len(value) <= SMALL and isinstance(each[0], int | float):
                    yield f"{before}{name}.{number}", each
        elif value is not None and not (isinstance(value, str) and "\n" in value):
            yield before + name, value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        more = f" … ({len(value)})" if len(value) > LISTED else ""
        return " ".join(map(_shown, value[:LISTED])) + more
    return f"{value:.8g}" if isinstance(value, float) else str(value)


class Output:
    """A file that results are added to.

    Args:
        file: where they go.
        form: how they are written.
        rewrites: whether the file can be written at any place: its tail is then there after every
            write, and overwritten by the next one.
        begun: whether there are results in it, and no tail.
    """

    def __init__(self, file: IO[bytes], form: Form, rewrites: bool, begun: bool) -> None:
        self._file, self._form, self._rewrites = file, form, rewrites
        self._next = form.between if begun else form.head

    def add(self, results: Sequence[tuple[Entry, Result]]) -> None:
        """Write some results; they outlive this process."""
        written = [self._form.result(entry, result) for entry, result in results]
        self._write(self._next + self._form.between.join(written), self._rewrites)
        self._next = self._form.between

    def close(self) -> None:
        """Write what is due after the last result."""
        head = b"" if self._next == self._form.between else self._form.head
        self._write(head, with_tail=True)

    def _write(self, data: bytes, with_tail: bool) -> None:
        tail = self._form.tail() if with_tail else b""
        self._file.write(data + tail)
        self._file.flush()
        if self._rewrites:
            self._file.seek(-len(tail), os.SEEK_CUR)


@contextmanager
def open_output(path: Path | None, form: Form, end: int, name: str = "") -> Iterator[Output]:
    """A file for results, or standard output.

    Args:
        path: the file; None for standard output.
        form: how results are written.
        end: bytes that stay of what the file holds; 0 begins it anew.
        name: that says how it is compressed.
    """
    if path is None:
        sys.stdout.flush()
        yield from _closing(Output(sys.stdout.buffer, form, rewrites=False, begun=False))
        return
    with path.open("r+b" if end else "wb") as file, compressing(file, name) as written:
        if end:
            file.truncate(end)
            file.seek(end)
        rewrites = form.rewrites and path.is_file() and written is file
        yield from _closing(Output(written, form, rewrites, begun=end > 0))


def _closing(output: Output) -> Iterator[Output]:
    try:
        yield output
    finally:
        output.close()
