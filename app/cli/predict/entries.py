"""The structures of some files, each read when its turn comes."""

import glob
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from app.errors import EquipotError, InvalidFormat, InvalidRequest
from app.formats.compression import LONGEST_MARK, is_compressed
from app.formats.encoding import legible
from app.formats.extxyz import iter_portions
from app.formats.files import read_input, read_structures
from app.formats.frame import Frame
from app.formats.notation import Smiles
from app.formats.registry import of_name
from app.formats.smiles import Embedder
from app.formats.text import FOREIGN, UTF_16
from app.places.url import Url, is_url
from app.protocol.intake import Drawing
from app.protocol.request import Entry
from app.service.embedding import conformer_entries

STANDARD_INPUT = "-"
NEEDS_RAY = (
    "URLs are read and written by predict and relax with --ray; say --ray local, or take a file of this "
    "machine"
)


class Read(NamedTuple):
    """One structure of the input, or an error in its place.

    Attributes:
        entry: what is to be answered.
        share: of the input that is read with it, from 0 to 1.
    """

    entry: Entry
    share: float


class _Part(NamedTuple):
    """A frame, and the share of its file that is read with it."""

    frame: Frame
    share: float


ONE = Drawing()
EMBED_SECONDS = 30.0


def as_it_is(entry: Entry) -> Entry:
    """The entry."""
    return entry


def is_stream(file: str) -> bool:
    """Whether it is standard input or a pipe, which can be read once."""
    return file == STANDARD_INPUT or Path(file).is_fifo()


def expanded(files: Sequence[str], urls: bool = False) -> list[str]:
    """The files, with those that a pattern (`*`, `?`, `[…]`, `**`) matches in its place, in order.

    Args:
        files: names and patterns.
        urls: whether they may be URLs of fsspec.

    Raises:
        InvalidFormat: no file matches one.
        InvalidRequest: a URL where none may be, or one that nothing here can read.
        UnreachableStore: a URL that does not answer.
    """
    found: list[str] = []
    for file in files:
        if is_url(file):
            if not urls:
                raise InvalidRequest(f"{Url.shown_of(file)}: {NEEDS_RAY}")
            found += Url(file).matching()
            continue
        if is_stream(file) or Path(file).exists() or not glob.has_magic(file):
            found.append(file)
            continue
        matching = sorted(glob.glob(file, recursive=True))
        if not matching:
            raise InvalidFormat(f"{file}: no file matches")
        found += [match for match in matching if Path(match).is_file()]
    return found


def check_files(files: Sequence[str]) -> None:
    """Make sure that all files can be opened, before anything is answered; URLs were asked for when
    they were expanded.

    Raises:
        InvalidFormat: one is not there or may not be read.
    """
    for file in files:
        try:
            if not is_stream(file) and not is_url(file):
                open(file, "rb").close()
        except OSError as error:
            told = f"{file}: {error.strerror}"
            if not Path(file).suffix and isinstance(error, FileNotFoundError):
                told += f"; a SMILES is read from a file, or as echo '{file}' | … - --format smiles"
            raise InvalidFormat(told) from error


def read_standard_input(files: Sequence[str]) -> bytes:
    """What is on standard input, if it is one of the files."""
    return sys.stdin.buffer.read() if STANDARD_INPUT in files else b""


def read_entries(
    files: Sequence[str],
    kind: str | None = None,
    standard_input: bytes = b"",
    drawing: Drawing = ONE,
    embed_seconds: float = EMBED_SECONDS,
    fits: Callable[[Entry], Entry] = as_it_is,
) -> Iterator[Read]:
    """The entries of all files, in order.

    A file that cannot be read, or holds no structure, gives an error as its entry, and the files
    after it are read.

    Args:
        files: their names.
        kind: format of them all; by default, what names and contents say.
        standard_input: what is read where the name is `-`.
        drawing: how geometries of SMILES are made.
        embed_seconds: that those of one SMILES may take.
        fits: what becomes of an entry that the output may not hold.
    """
    sizes = [1 if is_stream(file) else max(1, Path(file).stat().st_size) for file in files]
    total, before = sum(sizes), 0
    with closing(Embedder()) as embedder:
        for file, size in zip(files, sizes, strict=True):
            try:
                for frame, share in _parts(file, kind, standard_input):
                    for entry in _embedded(Entry.of(frame), drawing, embedder, embed_seconds):
                        yield Read(fits(entry), (before + share * size) / total)
            except InvalidFormat as error:
                yield Read(Entry(None, error), (before + size) / total)
            before += size


def _embedded(entry: Entry, drawing: Drawing, embedder: Embedder, seconds: float) -> list[Entry]:
    """The entries of a SMILES's conformers; others as they are."""
    if not isinstance(entry.structure, Smiles):
        return [entry]
    named = replace(entry, id=entry.id or entry.structure.text)
    try:
        smiles = Smiles(entry.structure.text, *drawing)
        conformers = embedder.embed(smiles, sys.maxsize, seconds)
    except EquipotError as error:
        return [replace(named, structure=error)]
    return conformer_entries(named, smiles, conformers)


def _parts(file: str, kind: str | None, standard_input: bytes) -> Iterator[_Part]:
    if file == STANDARD_INPUT:
        return _shared(read_input(standard_input, kind))
    path = Path(file)
    return (
        _streamed(path, kind) if _is_streamed(path, kind) else _shared(read_structures(path, kind))
    )


def _shared(frames: Sequence[Frame]) -> Iterator[_Part]:
    return (_Part(frame, (i + 1) / len(frames)) for i, frame in enumerate(frames))


def _is_streamed(path: Path, kind: str | None) -> bool:
    """Whether only a portion of the file is in memory: of extXYZ that is neither compressed nor UTF-16."""
    if (kind or of_name(path.name)) != "xyz" or path.is_fifo():
        return False
    with path.open("rb") as file:
        mark = file.read(LONGEST_MARK)
    return not is_compressed(mark) and not mark.startswith(UTF_16)


def _streamed(path: Path, kind: str | None) -> Iterator[_Part]:
    size, empty = max(1, path.stat().st_size), True
    with (
        path.open("rb") as file,
        io.TextIOWrapper(file, encoding="utf-8-sig", errors=FOREIGN) as lines,
    ):
        for frame in iter_portions(lines):
            empty = False
            yield _Part(legible(frame), min(1.0, file.tell() / size))
    if empty:
        yield from _shared(read_structures(path, kind))
