"""Structures from files of any format."""

from pathlib import Path

from app.errors import InvalidFormat
from app.formats.frame import Frame
from app.formats.registry import read


def read_structures(path: Path, kind: str | None = None) -> list[Frame]:
    """The frames of a file.

    Args:
        path: where it is.
        kind: its format, as for `app.formats.registry.read`.

    Raises:
        InvalidFormat: the file cannot be read or has no frame; names it and the reason.
    """
    try:
        return read(path.read_bytes(), path.name, kind)
    except (OSError, InvalidFormat) as error:
        raise InvalidFormat(f"{path}: {error}") from error


def read_input(data: bytes, kind: str | None = None) -> list[Frame]:
    """The frames of what comes through standard input, which has no name.

    Args:
        data: all of it.
        kind: its format; by default, what the content says.

    Raises:
        InvalidFormat: it cannot be read or has no frame.
    """
    try:
        return read(data, kind=kind)
    except InvalidFormat as error:
        raise InvalidFormat(f"standard input: {error}") from error
