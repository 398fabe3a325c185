"""Forms (multipart/form-data), read from bytes that come one after the other."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from app.api.body_kinds import FORM, INPUT_FORMAT, JSON
from app.errors import InvalidFormat, InvalidRequest
from app.formats.registry import FORMATS
from app.protocol.request import Kind

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MOST_PARTS = 1024
"""Files and fields of a form."""
LONGEST_FIELD = 1000
"""Bytes of a field that is no file."""


class FormReader(ABC):
    """Takes a form apart: its fields are kept, its files are given to who implements this.

    Args:
        content_type: the header, which names what stands between the parts.

    Attributes:
        fields: names and values of what is no file, as far as they have come.

    Raises:
        HTTPException: 415 where the header names nothing.
    """

    def __init__(self, content_type: str) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise HTTPException(415, f"Content-Type {FORM} without a boundary; send one, or {JSON}")
        self.fields: list[tuple[str, str]] = []
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError as error:
            raise InvalidFormat(f"Content-Type {FORM}: {error}") from None
        self._ended = False
        self._parts = 0
        self._header = self._value = self._disposition = b""
        self._field: str | None = None
        self._content = b""

    def read(self, data: bytes) -> None:
        """Further bytes.

        Raises:
            InvalidFormat: they are no form, or have too many parts.
            InvalidRequest: a field that is too long or no text.
        """
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise InvalidFormat(f"the body is no multipart/form-data: {error}") from None

    def end(self) -> None:
        """All bytes have come.

        Raises:
            InvalidFormat: the form does not end.
            InvalidRequest: the format of its files is stated and not known.
        """
        try:
            self._parser.finalize()
        except FormParserError as error:
            raise InvalidFormat(f"the body is no multipart/form-data: {error}") from None
        if not self._ended:
            raise InvalidFormat("the form ends before its last boundary; is it truncated?")
        stated = [value for name, value in self.fields if name == INPUT_FORMAT]
        if len(stated) > 1 or (stated and stated[0] not in FORMATS):
            raise InvalidRequest(f"{INPUT_FORMAT}: choose one of {', '.join(FORMATS)}")

    @property
    def kind(self) -> Kind | None:
        """The format of the files, where a field states it."""
        return next((value for name, value in self.fields if name == INPUT_FORMAT), None)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The fields that ask as a query does."""
        return [(name, value) for name, value in self.fields if name != INPUT_FORMAT]

    @abstractmethod
    def begin_file(self, name: str) -> None:
        """A file of this name comes."""

    @abstractmethod
    def add(self, data: bytes) -> None:
        """Further bytes of the file."""

    @abstractmethod
    def end_file(self) -> None:
        """The file has come."""

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_header,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._end_all,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise InvalidFormat(f"the form has more than {MOST_PARTS} parts; send fewer files")
        self._disposition = self._content = b""

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _end_headers(self) -> None:
        options = parse_options_header(self._disposition)[1]
        file = options.get(b"filename")
        self._field = options.get(b"name", b"").decode(errors="replace") if file is None else None
        if file is not None:
            self.begin_file(file.decode(errors="replace"))

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self.add(data[start:end])
            return
        self._content += data[start:end]
        if len(self._content) > LONGEST_FIELD:
            raise InvalidRequest(f"field {self._field[:80]}: longer than {LONGEST_FIELD} bytes")

    def _end_part(self) -> None:
        if self._field is None:
            self.end_file()
            return
        try:
            self.fields.append((self._field, self._content.decode().strip()))
        except UnicodeDecodeError:
            raise InvalidRequest(f"field {self._field[:80]}: is not UTF-8") from None

    def _end_all(self) -> None:
        self._ended = True
