"""The file of keys: JSON, written as a whole, by one at a time."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from app.access.keys import Key, explained
from app.errors import InvalidRequest

MODE = 0o600
"""Of a new file; one that is there keeps its own."""


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: list[Key]


def read_keys(path: Path) -> list[Key]:
    """The keys of a file.

    Raises:
        InvalidRequest: it is none of keys; says where.
        OSError: it cannot be read.
    """
    try:
        keys = _Content.model_validate_json(path.read_bytes()).keys
    except ValidationError as error:
        raise InvalidRequest(f"{path}: {explained(error)}") from None
    for what in ("name", "sha256"):
        values = [getattr(key, what) for key in keys]
        if double := next((value for value in values if values.count(value) > 1), None):
            raise InvalidRequest(f"{path}: two keys have the {what} {double}; remove one of them")
    return keys


@contextlib.contextmanager
def changing(path: Path) -> Iterator[list[Key]]:
    """The keys of a file, none where there is no file; as they are at the end of the block they are
    written. Of two who change it, one waits.

    Raises:
        InvalidRequest: it is none of keys.
        OSError: it cannot be read or written.
    """
    path = path.resolve()  # a link stays one
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        keys = read_keys(path) if path.exists() else []
        yield keys
        _write(path, keys)
    finally:
        os.close(folder)


def _write(path: Path, keys: list[Key]) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else MODE
    text = _Content(keys=keys).model_dump_json(indent=1)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        try:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, mode)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
