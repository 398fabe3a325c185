"""Files of a version: regular ones inside of its folder, of a bounded size, with the digest that
the card states.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from app.errors import CorruptModel

CARD_BYTES = 4 << 20
"""The largest card."""
FILE_BYTES = 8 << 30
"""The largest other file: some seconds of hashing."""


@contextmanager
def opened(folder: Path, name: str, most: int = FILE_BYTES) -> Iterator[BufferedReader]:
    """A file of a version, to be read.

    Nothing is waited for: what is no regular file, such as a pipe, is refused unread.

    Args:
        folder: of the version.
        name: of the file.
        most: bytes that it may have.

    Raises:
        CorruptModel: it is missing, too large, no regular file, a link that leads out of the
            folder, or cannot be read.
    """
    path = folder / name
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise CorruptModel(f"{path} is a link out of its folder")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            _check(path, os.fstat(descriptor), most)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                yield file
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise CorruptModel(f"{path} is missing") from None
    except (OSError, RuntimeError) as error:  # a loop of links is either
        reason = getattr(error, "strerror", None) or error
        raise CorruptModel(f"{path} cannot be read: {reason}") from error


def _check(path: Path, status: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise CorruptModel(f"{path} is no regular file")
    if status.st_size > most:
        raise CorruptModel(f"{path} has {status.st_size} bytes; at most {most} are allowed")


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder: Path, name: str, expected: str) -> None:
    """Make sure that a file of a version has a digest.

    Raises:
        CorruptModel: it has another one, or is none that `opened` opens.
    """
    with opened(folder, name) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != expected:
        raise CorruptModel(
            f"{folder / name}: sha256 {digest[:12]}… differs from the card's {expected[:12]}…"
        )
