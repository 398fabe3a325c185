"""The one way from the bytes of a file to its frames, whatever its format and compression.

A format is known by what is stated, else by the name, else by the content. What none of ours is, ASE
may read.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType

import numpy as np

from app.errors import InvalidFormat
from app.formats import ase_files, cif, extxyz, gaussian, pdb, poscar, sdf
from app.formats.compression import expand, plain_name
from app.formats.frame import Frame
from app.formats.text import decode, split_lines

HEAD = 4096
"""Characters from which the format of a text is known."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format that we read ourselves.

    Attributes:
        parse: the frames of a text.
        suffixes: of names, in lower case.
        start: what the beginning of its texts looks like, or None where that says nothing.
        content: what is expected in its files.
    """

    parse: Callable[[str], list[Frame]]
    suffixes: tuple[str, ...]
    start: re.Pattern[str] | None
    content: str


NUMBER = r"[-+]?[.\d][.\deEdD+-]*"
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "sdf": Format(
            sdf.parse,
            (".sdf", ".sd", ".mol", ".mdl"),
            re.compile(r"(?:[^\n]*\n){3,5}[^\n]*V[23]000[ \t]*\n"),
            "a molfile",
        ),
        "xyz": Format(
            extxyz.parse,
            (".xyz", ".extxyz"),
            re.compile(rf"[ \t]*\d+[ \t]*\n[^\n]*\n[ \t]*\S+(?:[ \t]+{NUMBER}){{3}}(?!\S)"),
            "a frame that begins with its number of atoms",
        ),
        "pdb": Format(
            pdb.parse,
            (".pdb", ".ent"),
            re.compile(r"(?:[^\n]*\n)*?(?:HEADER|CRYST1|ATOM  |HETATM|MODEL )"),
            "a line ATOM or HETATM",
        ),
        "cif": Format(
            cif.parse,
            (".cif", ".mcif"),
            re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*(?i:data_)\S*"),
            "a data block with atoms (_atom_site_…)",
        ),
        "poscar": Format(
            poscar.parse,
            (".vasp", ".poscar"),
            re.compile(
                rf"[^\n]*\n[ \t]*{NUMBER}[^\n]*\n"
                rf"(?:[ \t]*{NUMBER}(?:[ \t]+{NUMBER}){{2}}[ \t]*\n){{3}}"
            ),
            "a cell and the atoms in it",
        ),
        "gaussian": Format(
            gaussian.parse,
            (".gjf", ".com", ".gau"),
            re.compile(
                r"(?:[ \t]*%[^\n]*\n)*[ \t]*#(?:[^\n]+\n)+\n+"
                r"(?:[^\n]+\n)+\n+[ \t]*[-+]?\d+[ \t,]+\d"
            ),
            "charge, multiplicity and atoms",
        ),
    }
)
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
    ours = FORMATS.get(known or "")
    with np.errstate(over="ignore", invalid="ignore"):  # structures are refused, not arithmetic
        frames = ours.parse(decode(content)) if ours else ase_files.read(content, name, known)
    if not frames:
        raise InvalidFormat(f"no structures; {ours.content if ours else 'one'} is expected")
    return frames


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
