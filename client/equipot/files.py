"""Files as they are sent: records one by one where the format is a list of them, else as a whole."""

import bz2
import gzip
import lzma
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from equipot.errors import InvalidFormat

SUFFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sdf": (".sdf", ".sd", ".mol", ".mdl"),
        "xyz": (".xyz", ".extxyz"),
        "pdb": (".pdb", ".ent"),
        "cif": (".cif", ".mcif"),
        "poscar": (".vasp", ".poscar"),
        "gaussian": (".gjf", ".com", ".gau"),
        "mol2": (".mol2",),
        "smiles": (".smi", ".smiles"),
    }
)
"""Of names, by the format that a service reads."""
PACKED: Mapping[str, tuple[bytes, Any]] = MappingProxyType(
    {
        ".gz": (b"\x1f\x8b", gzip.open),
        ".bz2": (b"BZh", bz2.open),
        ".xz": (b"\xfd7zXZ\x00", lzma.open),
    }
)
"""Compressions, by what they begin with."""
FOREIGN = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of a byte that is no UTF-8."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
ZSTD = b"\x28\xb5\x2f\xfd"
POSCAR_NAME = re.compile(r"(?i)(^|[^a-z])(POSCAR|CONTCAR)([^a-z]|$)")


def format_of(path: Path) -> str | None:
    """The format that a name says; None where it says none."""
    name = path
    while name.suffix.lower() in (*PACKED, ".zst"):
        name = name.with_suffix("")
    for kind, suffixes in SUFFIXES.items():
        if name.suffix.lower() in suffixes:
            return kind
    return "poscar" if POSCAR_NAME.search(name.name) else None


def is_packed(path: Path) -> bool:
    """Whether a file is compressed."""
    with path.open("rb") as file:
        start = file.read(6)
    return any(start.startswith(mark) for mark, _ in PACKED.values()) or start.startswith(ZSTD)


def records(path: Path, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """A file as items of a request: those of SDF, XYZ and SMILES record by record, however many
    there are, and any other as one.

    Args:
        path: of the file.
        kind: its format; by default, what the name, else the content says.

    Raises:
        FileNotFoundError: there is none.
        InvalidFormat: it is UTF-16, or compressed in a way that is not read here.
    """
    known = kind or format_of(path)
    named = {} if known is None else {"format": known}
    with _opened(path) as lines:
        for content in SPLIT.get(known or "", _whole)(_legible(lines, path)):
            yield {"content": content, **named}


def _legible(lines: Iterable[str], path: Path) -> Iterator[str]:
    """Lines, with those that are no UTF-8 as Windows-1252 has them, and a warning at the first one.

    Raises:
        InvalidFormat: they are UTF-16.
    """
    has_warned = False
    for number, line in enumerate(lines, 1):
        match = None if line.isascii() else FOREIGN.search(line)
        if match is None:
            yield line
            continue
        data = line.encode(errors="surrogateescape")
        if number == 1 and data.startswith(UTF_16):
            raise InvalidFormat("invalid_format", f"{path}: the text is UTF-16; save it as UTF-8")
        if not has_warned:
            has_warned = True
            warnings.warn(
                f"{path}, line {number}: byte {ord(match[0]) - 0xDC00:#04x} is not UTF-8; lines that "
                "are not are read as Windows-1252; save the file as UTF-8",
                UnicodeWarning,
                stacklevel=2,
            )
        yield "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in data)


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(ZSTD):
        raise InvalidFormat("invalid_format", f"{path}: Zstandard is not read here; unpack it")
    way = next((open_ for mark, open_ in PACKED.values() if start.startswith(mark)), open)
    with way(path, "rt", encoding="utf-8-sig", errors="surrogateescape") as lines:
        yield lines


def _whole(lines: Iterable[str]) -> Iterator[str]:
    yield "".join(lines)


def _of_sdf(lines: Iterable[str]) -> Iterator[str]:
    record: list[str] = []
    for line in lines:
        record.append(line)
        if line.startswith("$$$$"):
            yield "".join(record)
            record = []
    if any(line.strip() for line in record):
        yield "".join(record)


def _of_xyz(lines: Iterable[str]) -> Iterator[str]:
    """Frame by frame; after a wrong number of atoms the rest is one record, and an error there."""
    rest = iter(lines)
    for line in rest:
        if not line.strip():
            continue
        if not line.strip().isdecimal():
            yield line + "".join(rest)
            return
        yield line + "".join(islice(rest, int(line) + 1))


def _of_smiles(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if line.strip() and not line.startswith("#"):
            yield line


SPLIT: Mapping[str, Callable[[Iterable[str]], Iterator[str]]] = MappingProxyType(
    {"sdf": _of_sdf, "xyz": _of_xyz, "smiles": _of_smiles}
)
