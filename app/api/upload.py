"""Forms with files (multipart/form-data), from bytes that have been received."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from app.api.body import BodyLimits, expanded
from app.api.body_kinds import FORM, INPUT_FORMAT, JSON
from app.errors import InvalidFormat, InvalidRequest
from app.formats.compression import LONGEST_MARK, is_compressed
from app.formats.registry import FORMATS
from app.protocol.request import Kind, Upload

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MOST_PARTS = 1024
"""Files and fields of a form."""
LONGEST_FIELD = 1000
"""Bytes of a field that is no file."""


class Part(NamedTuple):
    """A part of a form.

    Attributes:
        name: of the field.
        file: name of the file; None of a field that is none.
        content: what it holds.
    """

    name: str
    file: str | None
    content: bytes


class Form(NamedTuple):
    """A form.

    Attributes:
        files: those that it holds.
        fields: names and values of what else it holds, which ask as a query does.
    """

    files: list[Upload]
    fields: list[tuple[str, str]]


def read_form(body: bytes, content_type: str, limits: BodyLimits) -> Form:
    """What a form holds, decompressed.

    Args:
        body: all of it.
        content_type: the header, which names what stands between the parts.
        limits: of a body, which hold for all files together.

    Raises:
        HTTPException: 415 where the header names nothing.
        InvalidFormat: it is no form, has too many parts, or no file.
        InvalidRequest: a field that is too long or no text.
        StructureTooLarge: the files hold more than a body may.
    """
    parts = _parts(body, content_type)
    fields = [(part.name, _text(part)) for part in parts if part.file is None]
    stated = [value for name, value in fields if name == INPUT_FORMAT]
    if len(stated) > 1 or (stated and stated[0] not in FORMATS):
        raise InvalidRequest(f"{INPUT_FORMAT}: choose one of {', '.join(FORMATS)}")
    kind = stated[0] if stated else None
    files = list(_files((part for part in parts if part.file is not None), kind, limits))
    if not files:
        raise InvalidFormat("the form holds no file; send one or several, with their names")
    return Form(files, [(name, value) for name, value in fields if name != INPUT_FORMAT])


def _files(parts: Iterable[Part], kind: Kind | None, limits: BodyLimits) -> Iterator[Upload]:
    room = limits.size
    for part in parts:
        content, name = part.content, part.file or ""
        if is_compressed(content[:LONGEST_MARK]):
            content = expanded(content, limits, room)
        room -= len(content)
        if room < 0:
            raise limits.too_large()
        yield Upload(name, content, kind)


def _parts(body: bytes, content_type: str) -> list[Part]:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise HTTPException(415, f"Content-Type {FORM} without a boundary; send one, or {JSON}")
    reader = _Reader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InvalidFormat(f"the body is no multipart/form-data: {error}") from None
    if not reader.ended:
        raise InvalidFormat("the form ends before its last boundary; is it truncated?")
    return reader.parts


def _text(part: Part) -> str:
    if len(part.content) > LONGEST_FIELD:
        raise InvalidRequest(f"field {part.name[:80]}: longer than {LONGEST_FIELD} bytes")
    try:
        return part.content.decode().strip()
    except UnicodeDecodeError:
        raise InvalidRequest(f"field {part.name[:80]}: is not UTF-8") from None


class _Reader:
    """Collects parts from what the parser tells."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._pieces: list[bytes] = []
        self._header = self._value = b""
        self._disposition = b""

    def callbacks(self) -> "MultipartCallbacks":
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_header,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_data,
            "on_part_end": self._end,
            "on_end": self._end_all,
        }

    def _begin(self) -> None:
        if len(self.parts) >= MOST_PARTS:
            raise InvalidFormat(f"the form has more than {MOST_PARTS} parts; send fewer files")
        self._pieces, self._disposition = [], b""

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _end_all(self) -> None:
        self.ended = True

    def _end(self) -> None:
        options = parse_options_header(self._disposition)[1]
        name = options.get(b"name", b"").decode(errors="replace")
        file = options.get(b"filename")
        known = None if file is None else file.decode(errors="replace")
        self.parts.append(Part(name, known, b"".join(self._pieces)))
