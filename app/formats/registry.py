"""The formats of files: the one way from the bytes of a file to its frames, whatever its format and
compression, and from records to the bytes of a file.

A format that is read is known by what is stated, else by the name, else by the content. What none of
ours is, ASE may read.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType

import numpy as np

from app.atoms.properties import NAMES, Name
from app.atoms.structure import Structure
from app.errors import InvalidFormat
from app.formats import ase_files, cif, extxyz, gaussian, mol2, pdb, poscar, sdf, smiles
from app.formats.cif import writer as cif_writer
from app.formats.compression import expand, plain_name
from app.formats.encoding import is_foreign, legible
from app.formats.frame import Frame
from app.formats.poscar import writer as poscar_writer
from app.formats.record import Writer
from app.formats.sdf import writer as sdf_writer
from app.formats.table import CsvWriter, ParquetWriter, check_parquet
from app.formats.text import decode, split_lines

HEAD = 4096
"""Characters from which the format of a text is known."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format that we read ourselves.

    Attributes:
        parse: the frames of a text, each read when it is asked for where that can be.
        suffixes: of names, in lower case.
        media_types: of bodies, in lower case.
        start: what the beginning of its texts looks like, or None where that says nothing.
        content: what is expected in its files.
    """

    parse: Callable[..., Iterable[Frame]]
    suffixes: tuple[str, ...]
    media_types: tuple[str, ...]
    start: re.Pattern[str] | None
    content: str


NUMBER = r"[-+]?[.\d][.\deEdD+-]*"
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "sdf": Format(
            sdf.parse,
            (".sdf", ".sd", ".mol", ".mdl"),
            ("chemical/x-mdl-sdfile", "chemical/x-mdl-molfile"),
            re.compile(r"(?:[^\n]*\n){3,5}[^\n]*V[23]000[ \t]*\n"),
            "a molfile",
        ),
        "xyz": Format(
            extxyz.iter_frames,
            (".xyz", ".extxyz"),
            ("chemical/x-xyz", "text/plain"),
            re.compile(rf"[ \t]*\d+[ \t]*\n[^\n]*\n[ \t]*\S+(?:[ \t]+{NUMBER}){{3}}(?!\S)"),
            "a frame that begins with its number of atoms",
        ),
        "pdb": Format(
            pdb.parse,
            (".pdb", ".ent"),
            ("chemical/x-pdb",),
            re.compile(r"(?:[^\n]*\n)*?(?:HEADER|CRYST1|ATOM  |HETATM|MODEL )"),
            "a line ATOM or HETATM",
        ),
        "cif": Format(
            cif.parse,
            (".cif", ".mcif"),
            ("chemical/x-cif",),
            re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*(?i:data_)\S*"),
            "a data block with atoms (_atom_site_…)",
        ),
        "poscar": Format(
            poscar.parse,
            (".vasp", ".poscar"),
            ("chemical/x-poscar", "chemical/x-vasp"),
            re.compile(
                rf"[^\n]*\n[ \t]*{NUMBER}[^\n]*\n"
                rf"(?:[ \t]*{NUMBER}(?:[ \t]+{NUMBER}){{2}}[ \t]*\n){{3}}"
            ),
            "a cell and the atoms in it",
        ),
        "gaussian": Format(
            gaussian.parse,
            (".gjf", ".com", ".gau"),
            ("chemical/x-gaussian-input",),
            re.compile(
                r"(?:[ \t]*%[^\n]*\n)*[ \t]*#(?:[^\n]+\n)+\n+"
                r"(?:[^\n]+\n)+\n+[ \t]*[-+]?\d+[ \t,]+\d"
            ),
            "charge, multiplicity and atoms",
        ),
        "mol2": Format(
            mol2.parse,
            (".mol2",),
            ("chemical/x-mol2",),
            re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*@<TRIPOS>"),
            "a molecule that begins with @<TRIPOS>MOLECULE",
        ),
        "smiles": Format(
            smiles.parse,
            (".smi", ".smiles"),
            ("chemical/x-daylight-smiles", "chemical/x-smiles"),
            None,
            "a SMILES on each line",
        ),
    }
)


def _fits(_: Structure) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A format that we write.

    Attributes:
        writer: makes the one of a file.
        media_type: of what it writes.
        suffix: of names.
        misfit: why a structure cannot be written, or None.
        holds: what is asked for by name that it can hold.
        single: whether a file holds one structure, and no error in the place of one.
        check: raises where it cannot be written here.
        starts_slowly: whether the first writer takes so long to make that others would wait.
    """

    writer: Callable[[], Writer]
    media_type: str
    suffix: str
    misfit: Callable[[Structure], str | None] = _fits
    holds: tuple[Name, ...] = ("energy",)
    single: bool = False
    check: Callable[[], None] = lambda: None
    starts_slowly: bool = False


WRITERS: Mapping[str, OutputFormat] = MappingProxyType(
    {
        "xyz": OutputFormat(extxyz.ExtXyzWriter, "chemical/x-xyz", ".xyz", holds=NAMES),
        "sdf": OutputFormat(
            sdf.SdfWriter, "chemical/x-mdl-sdfile", ".sdf", sdf_writer.misfit, NAMES
        ),
        "cif": OutputFormat(cif.CifWriter, "chemical/x-cif", ".cif", cif_writer.misfit),
        "poscar": OutputFormat(
            poscar.PoscarWriter, "chemical/x-poscar", ".vasp", poscar_writer.misfit, single=True
        ),
        "csv": OutputFormat(CsvWriter, "text/csv", ".csv"),
        "parquet": OutputFormat(
            ParquetWriter,
            "application/vnd.apache.parquet",
            ".parquet",
            check=check_parquet,
            starts_slowly=True,
        ),
    }
)
"""What records are written as; JSON and MessagePack are written by `app.protocol.encode`."""
POSCAR_NAME = re.compile(r"(?i)(^|[^a-z])(POSCAR|CONTCAR)([^a-z]|$)")
"""Of files that VASP reads and writes, which have no suffix."""


def read(data: bytes, name: str = "", kind: str | None = None) -> list[Frame]:
    """The frames of a file.

    Args:
        data: its content, maybe compressed.
        name: its name, which may be empty.
        kind: its format, a key of `FORMATS` or a name of ASE's; by default, what name and content
            say.

    Raises:
        InvalidFormat: it cannot be read as a whole, or has no frame; says what is expected.
    """
    content, name = expand(data), plain_name(name)
    known = kind or of_name(name) or of_content(content)
    if known is not None and known in FORMATS:
        return list(iter_frames(content, known))
    with np.errstate(over="ignore", invalid="ignore"):
        frames = ase_files.read(content, name, known)
    if not frames:
        raise InvalidFormat("no structures; one is expected")
    return frames


def iter_frames(content: bytes, kind: str, before: tuple[int, int] = (0, 0)) -> Iterator[Frame]:
    """The frames of a file of a format of ours, each read when it is asked for: a limit can stop
    before the rest is read.

    Args:
        content: of the file, not compressed.
        kind: a key of `FORMATS`.
        before: frames and lines before the first ones, of a part of an XYZ file; for messages.

    Raises:
        InvalidFormat: it cannot be read as a whole, or has no frame; says what is expected.
    """
    known, empty = FORMATS[kind], True
    text = decode(content)
    foreign = is_foreign(text)
    with np.errstate(over="ignore", invalid="ignore"):  # structures are refused, not arithmetic
        frames = iter(known.parse(text, *before) if any(before) else known.parse(text))
        frame = next(frames, None)
    while frame is not None:
        empty = False
        yield legible(frame) if foreign else frame
        with np.errstate(over="ignore", invalid="ignore"):
            frame = next(frames, None)
    if empty:
        raise InvalidFormat(f"no structures; {known.content} is expected")


def kind_of(content: bytes, name: str = "") -> str:
    """The format of ours that a file has, by its name, else by its content.

    Raises:
        InvalidFormat: none of ours.
    """
    known = of_name(plain_name(name)) or of_content(content)
    if known is None:
        raise InvalidFormat(
            f"no format that is known, by name or content; state one of {', '.join(FORMATS)}"
        )
    return known


def of_name(name: str) -> str | None:
    """The format that a name belongs to, or None."""
    path = PurePath(name)
    suffix = path.suffix.lower()
    for kind, known in FORMATS.items():
        if suffix in known.suffixes:
            return kind
    return "poscar" if POSCAR_NAME.search(path.name) else None


def of_content(content: bytes) -> str | None:
    """The format that the beginning of a content looks like, or None."""
    head = "\n".join(split_lines(content[:HEAD].decode("utf-8-sig", errors="replace")))
    return next(
        (kind for kind, known in FORMATS.items() if known.start and known.start.match(head)), None
    )
