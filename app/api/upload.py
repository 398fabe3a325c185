"""Forms with files, from bytes that have been received."""

from typing import NamedTuple

from app.api.body import BodyLimits, expanded
from app.api.form import FormReader
from app.errors import InvalidFormat
from app.formats.compression import LONGEST_MARK, is_compressed
from app.protocol.request import Upload


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
    reader = _Reader(content_type)
    reader.read(body)
    reader.end()
    files, room = list[Upload](), limits.size
    for name, content in reader.files:
        whole = (
            expanded(content, limits, room) if is_compressed(content[:LONGEST_MARK]) else content
        )
        room -= len(whole)
        if room < 0:
            raise limits.too_large()
        files.append(Upload(name, whole, reader.kind))
    if not files:
        raise InvalidFormat("the form holds no file; send one or several, with their names")
    return Form(files, reader.asked)


class _Reader(FormReader):
    """Keeps the files in memory.

    Attributes:
        files: their names and contents.
    """

    def __init__(self, content_type: str) -> None:
        super().__init__(content_type)
        self.files: list[tuple[str, bytes]] = []
        self._name = ""
        self._pieces: list[bytes] = []

    def begin_file(self, name: str) -> None:
        self._name, self._pieces = name, []

    def add(self, data: bytes) -> None:
        self._pieces.append(data)

    def end_file(self) -> None:
        self.files.append((self._name, b"".join(self._pieces)))
