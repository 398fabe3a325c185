"""Read SDF: molfiles, one after the other, each with data fields behind it."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from app.atoms.elements import isotopes_ignored, read_symbols
from app.atoms.structure import Structure
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.doubts import doubts
from app.formats.frame import Frame
from app.formats.sdf import v2000, v3000
from app.formats.sdf.molecule import Molecule
from app.formats.stated import Stated, meaning, stated
from app.formats.text import check_length, short, split_lines

END = "$$$$"
VERSIONS = {"V2000": v2000.read, "V3000": v3000.read}
COUNTS = 3
"""Index of the line with the counts; before it stand title, program and a remark."""
STATES = ("charge", "multiplicity", "unpaired")
"""What data fields are read for."""
FIELD = re.compile(r">.*<([^<>]+)>")


def parse(text: str) -> list[Frame]:
    """The molecules of an SDF or a molfile, each with its title as `id`.

    A record that is no molfile, no sound structure, or only a 2D sketch, is an error in its own
    place; the message names molecule (from 0), line (from 1) and value.
    """
    records = _records(split_lines(text))
    return [_frame(lines, first, number) for number, (first, lines) in enumerate(records)]


def _records(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Lines of each record, and the number of the first of them."""
    record: list[str] = []
    first = 1
    for number, line in enumerate(lines, 1):
        if line.startswith(END):
            yield first, record
            record, first = [], number + 1
        else:
            record.append(line)
    if any(line.strip() for line in record):
        yield first, record


def _frame(lines: list[str], first: int, number: int) -> Frame:
    title = None
    try:
        lines, first = _from_title(lines, first)
        title = lines[0].strip() or None
        return _read(lines, first, title)
    except InvalidFormat as error:
        return Frame(InvalidFormat(f"molecule {number}, {error}"), title)
    except InputError as error:
        return Frame(error, title)


def _from_title(lines: list[str], first: int) -> tuple[list[str], int]:
    """The record from its title on; blank lines before that are left out.

    Raises:
        InvalidFormat: there is no line with counts and version in its place.
    """
    blank = next((place for place, line in enumerate(lines) if line.strip()), None)
    if blank is None:
        raise InvalidFormat(f"line {first}: the record is empty")
    near = range(len(lines[: blank + COUNTS + 1]))
    place = next((n for n in near if lines[n].rstrip().endswith(tuple(VERSIONS))), None)
    if place is None or place < COUNTS:
        line = lines[min(blank + COUNTS, len(lines) - 1)]
        raise InvalidFormat(
            f"line {first + blank}: no molfile: the fourth line, here '{short(line)}', must hold the "
            "counts and end with V2000 or V3000"
        )
    return lines[place - COUNTS :], first + place - COUNTS


def _read(lines: Sequence[str], first: int, title: str | None) -> Frame:
    for row, line in enumerate(lines):
        if row < COUNTS or ">" in (line[:1], lines[row - 1][:1]):
            check_length(line, f"line {first + row}")
    version = lines[COUNTS].rstrip()[-5:]
    molecule = VERSIONS[version](lines[COUNTS:], first + COUNTS)
    dimension = lines[1][20:22].upper()
    if dimension == "2D":
        raise InvalidStructure("a 2D sketch; make 3D coordinates with all hydrogens first")
    elements = read_symbols(molecule.symbols)
    charge, multiplicity = _state(molecule, _fields(lines), lines[2])
    structure = Structure(
        elements.numbers,
        np.array(molecule.positions, dtype=np.float64).reshape(-1, 3),
        charge=charge,
        multiplicity=multiplicity,
    )
    heavy = (isotopes_ignored(molecule.isotopes),) if molecule.isotopes else ()
    doubtful = doubts(structure, molecule.known_bonds(), False if dimension == "3D" else None)
    return Frame(structure, title, warnings=elements.warnings + heavy + doubtful)


def _state(molecule: Molecule, fields: Stated, remark: str) -> tuple[int, int | None]:
    """Total charge and multiplicity of the atoms, which other words of the record must not deny."""
    charge, multiplicity = sum(molecule.charges), molecule.multiplicity()
    for said in (fields, stated({}, remark)):
        if said.charge not in (None, charge):
            raise InvalidStructure(
                f"the charges of the atoms sum up to {charge}, but the record says charge "
                f"{said.charge}; mend one of them"
            )
        if said.multiplicity is not None and multiplicity not in (None, said.multiplicity):
            raise InvalidStructure(
                f"the atoms have multiplicity {multiplicity}, but the record says "
                f"{said.multiplicity}; mend one of them"
            )
        multiplicity = multiplicity or said.multiplicity
    return charge, multiplicity


def _fields(lines: Sequence[str]) -> Stated:
    """What the data fields behind the table say of charge and spin."""
    fields = {}
    for line, value in pairwise(lines):
        match = FIELD.match(line) if line.startswith(">") else None
        if match and value.strip() and meaning(match[1]) in STATES:
            fields[match[1]] = value.strip()
    return stated(fields)
