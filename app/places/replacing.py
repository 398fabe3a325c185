"""A file that takes the place of another one as a whole, once all of it is written."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from app.places.folder import UNFINISHED


def half_of(path: Path) -> Path:
    """Where a file is while it is being written: beside its place, or what a link there names."""
    target = _target(path)
    return target.with_name(f"{target.name}{UNFINISHED}")


def check_place(path: Path) -> None:
    """Whether a file can be written there, before anything is done for it.

    Raises:
        OSError: its folder is not there, or the file that is may not be written.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if path.exists():
        path.open("r+b").close()


def put_in_place(written: Path, path: Path) -> None:
    """Give a file that has been written its place; who may read the one there may read it, too."""
    target = _target(path)
    if target.exists():
        shutil.copymode(target, written)
    os.replace(written, target)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, for the length of a block, which takes its place where that ends without an error.
    After one, what there was before is as it was, and what has been written stays beside it.

    Raises:
        OSError: it cannot be written.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    check_place(path)
    half = half_of(path)
    with half.open("wb") as file:
        try:
            yield file
        except BaseException:
            if not file.tell():
                half.unlink()
            raise
    put_in_place(half, path)


def _target(path: Path) -> Path:
    return path.resolve() if path.is_symlink() else path
