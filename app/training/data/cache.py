"""Cache: flat arrays in files that later runs open as they are, memory-mapped, instead of reading
the data again.

An entry is a folder of `.npy` files and a manifest. Its name says what was asked for (sources,
cutoff, precision); its manifest says of which state of the files it was made, and the checksum of
each array. It is written beside its place and moved there when it is whole, under a lock that other
processes wait for.
"""

import fcntl
import hashlib
import json
import logging
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from app import __version__
from app.errors import InvalidConfig, TrainingError
from app.training.data.arrays import Arrays, Part, Sink

logger = logging.getLogger(__name__)

FORMAT = 3
MANIFEST = "manifest.json"
BLOCK = 2**24
"""Bytes of an array whose checksum is taken at once."""
Stamp = list[list[Any]]
"""Name, bytes and time of change of each file of a source."""


class Unusable(Exception):
    """An entry must be made again; the message says why."""


def open_or_build(
    cache: Path, wanted: Any, stamps: dict[str, Stamp], build: Callable[[Sink], None]
) -> Arrays:
    """The arrays of an entry, which is made if it is not there, or not as it should be.

    Args:
        cache: folder of all entries.
        wanted: what the arrays depend on, beside the content of the files, as plain values.
        stamps: state of each source, by its name.
        build: fills the entry.

    Raises:
        InvalidConfig: the folder cannot be written to.
        TrainingError: the disk is full, say.
    """
    text = json.dumps([FORMAT, __version__, wanted], sort_keys=True)
    entry = cache / hashlib.sha256(text.encode()).hexdigest()[:24]
    with _locked(entry):
        if entry.exists():
            try:
                return open_entry(entry, stamps)
            except Unusable as reason:
                logger.warning("%s; its neighbour lists are made again (%s)", reason, entry)
        _write(entry, stamps, build)
        try:
            return open_entry(entry, stamps)
        except Unusable as error:  # a file of the data was changed meanwhile, say
            raise TrainingError(f"{error}, just now; is something else writing there?") from error


def open_entry(entry: Path, stamps: dict[str, Stamp]) -> Arrays:
    """An entry's arrays, memory-mapped, after all their bytes have been compared with the
    checksums.

    Raises:
        Unusable: a source has changed since, or the entry is damaged.
    """
    try:
        manifest = json.loads((entry / MANIFEST).read_text(encoding="utf-8"))
        then, sums = dict(manifest["sources"]), dict(manifest["checksums"])
        for name, stamp in stamps.items():
            if then[name] != stamp:
                raise Unusable(f"{name} has changed since it was cached")
        arrays = {
            f.name: np.load(entry / f"{f.name}.npy", mmap_mode="r")
            for f in fields(Arrays)
            if f.init
        }
        for name, array in arrays.items():
            if sums[name] != [array.dtype.str, list(array.shape), checksum(array)]:
                raise Unusable(
                    f"the cache of {', '.join(stamps)} is damaged: {name} has another checksum"
                )
        return Arrays(**{name: np.asarray(array) for name, array in arrays.items()})
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Unusable(f"the cache of {', '.join(stamps)} is damaged: {error}") from error


def stamp(path: Path) -> Stamp:
    """The state of a file, or of all files in a folder: names, sizes, times of the last change."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    states = ((file, file.stat()) for file in files)
    return [
        [file.relative_to(path).as_posix(), state.st_size, state.st_mtime_ns]
        for file, state in states
    ]


def checksum(array: NDArray[Any], start: int = 0) -> int:
    """CRC-32 of the bytes of an array of any shape, going on from that of the bytes before them."""
    data = array.reshape(-1).view(np.uint8)
    for offset in range(0, len(data), BLOCK):
        start = zlib.crc32(data[offset : offset + BLOCK].data, start)
    return start


class Column:
    """A `.npy` file that grows by its first axis.

    The header, padded for that by numpy, is written again at the end.
    """

    def __init__(self, file: BinaryIO, first: NDArray[Any]) -> None:
        self.file, self.dtype, self.tail, self.length, self.sum = (
            file,
            first.dtype,
            first.shape[1:],
            0,
            0,
        )
        self._header()

    def add(self, values: NDArray[Any]) -> None:
        """Append (n, ...) rows."""
        values = np.ascontiguousarray(values)
        self.file.write(values.reshape(-1).view(np.uint8).data)
        self.length += len(values)
        self.sum = checksum(values, self.sum)

    def finish(self) -> list[Any]:
        """Write the length, and return type, shape and checksum."""
        self.file.seek(0)
        self._header()
        self.file.flush()
        return [self.dtype.str, [self.length, *self.tail], self.sum]

    def _header(self) -> None:
        shape = (self.length, *self.tail)
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(self.file, header)


class Files:
    """Arrays that grow in files, one each, in a folder."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack, self.columns = folder, stack, dict[str, Column]()

    def add(self, part: Part) -> None:
        """Append the arrays of some frames.

        Raises:
            TrainingError: the disk is full, say.
        """
        with _named(self.folder):
            for name, values in part.items():
                if name not in self.columns:
                    file = self.stack.enter_context(
                        (self.folder / f"{name}.npy").open("wb", buffering=BLOCK // 16)
                    )
                    self.columns[name] = Column(file, values)
                self.columns[name].add(values)

    def finish(self, stamps: dict[str, Stamp]) -> None:
        """Write what is left, and the manifest."""
        with _named(self.folder):
            sums = {name: column.finish() for name, column in self.columns.items()}
            text = json.dumps({"sources": stamps, "checksums": sums}, indent=1)
            (self.folder / MANIFEST).write_text(text, encoding="utf-8")


def _write(entry: Path, stamps: dict[str, Stamp], build: Callable[[Sink], None]) -> None:
    """Make an entry beside its place, and move it there."""
    new = entry.with_name(f"{entry.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # of a process that was killed
    try:
        with _named(new), ExitStack() as stack:
            new.mkdir()
            files = Files(new, stack)
            build(files)
            files.finish(stamps)
        with _named(entry):
            if entry.exists():
                shutil.rmtree(entry)
            new.rename(entry)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"the cache {folder} cannot be written: {error}; make room, choose another folder with --data-cache, "
            "or do without it"
        ) from error


@contextmanager
def _locked(entry: Path) -> Iterator[None]:
    """Keep other processes away from an entry; the lock ends with the process, however that ends."""
    path = entry.with_name(f"{entry.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise InvalidConfig(f"--data-cache {path.parent}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("another process is at work on the cache %s; waiting for it", entry)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
