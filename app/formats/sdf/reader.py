"""Read SDF: molfiles, one after the other, each with data fields behind it."""

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from app.atoms.elements import isotopes_ignored, read_symbols
from app.atoms.structure import Structure
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.doubts import doubts
from app.formats.frame import Frame
from app.formats.sdf import v2000, v3000
from app.formats.stated import meaning, stated
from app.formats.text import check_length, short, split_lines
from app.formats.topology import Topology

END = "$$$$"
VERSIONS = {"V2000": v2000.read, "V3000": v3000.read}
COUNTS = 3
"""Index of the line with the counts; before it stand title, program and a remark."""
STATES = ("charge", "multiplicity", "unpaired")
"""What data fields are read for."""
TOTAL_CHARGE = "EQUIPOT_CHARGE"
"""The field that states the charge of a molecule whose atoms have none of their own."""
FIELD = re.compile(r">.*<([^<>]+)>")


def parse(text: str, first: int = 0, before: int = 0) -> Iterator[Frame]:
    """The molecules of an SDF or a molfile, each with its title as `id` and its data fields as `info`.

    A record that is no molfile, no sound structure, or only a 2D sketch, is an error in its own
    place; the message names molecule (from 0), line (from 1) and value.

    Args:
        text: a file's content, or a part of it that begins with a record.
        first: number of the first molecule, for messages.
        before: lines before the first one, for messages.
    """
    records = enumerate(_records(split_lines(text), before), first)
    return (_frame(lines, start, number) for number, (start, lines) in records)


def _records(lines: Sequence[str], before: int) -> Iterator[tuple[int, list[str]]]:
    """Lines of each record, and the number of the first of them."""
    record: list[str] = []
    first = before + 1
    for number, line in enumerate(lines, first):
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
    for row, line in enumerate(lines[:COUNTS]):
        check_length(line, f"line {first + row}")
    version = lines[COUNTS].rstrip()[-5:]
    molecule = VERSIONS[version](lines[COUNTS:], first + COUNTS)
    dimension = lines[1][20:22].upper()
    if dimension == "2D":
        raise InvalidStructure("a 2D sketch; make 3D coordinates with all hydrogens first")
    elements = read_symbols(molecule.symbols)
    fields, topology = _fields(lines, first), molecule.topology
    charge, multiplicity = _state(topology, fields, lines[2])
    structure = Structure(
        elements.numbers,
        np.array(molecule.positions, dtype=np.float64).reshape(-1, 3),
        charge=charge,
        multiplicity=multiplicity,
    )
    heavy = (isotopes_ignored(sorted(topology.masses)),) if topology.masses else ()
    bonds = topology.known_bonds(len(structure))
    doubtful = doubts(structure, bonds, False if dimension == "3D" else None)
    return Frame(structure, title, fields, elements.warnings + heavy + doubtful, topology)


def _state(topology: Topology, fields: Mapping[str, str], remark: str) -> tuple[int, int | None]:
    """Total charge and multiplicity of the atoms, which other words of the record must not deny."""
    charge, multiplicity = topology.charge, topology.multiplicity()
    if not topology.charges and TOTAL_CHARGE in fields:
        charge = stated({"charge": fields[TOTAL_CHARGE]}).charge or 0
    told = {k: _same_line(v) for k, v in fields.items() if meaning(k) in STATES}
    for said in (stated(told), stated({}, remark)):
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


def _same_line(value: str) -> str:
    """A value of one line, that it may have several times."""
    return "\n".join(dict.fromkeys(value.split("\n")))


def _fields(lines: Sequence[str], first: int) -> dict[str, str]:
    """Values of the data fields behind the table, by name; one that stands twice has all its lines.

    Raises:
        InvalidFormat: a line is too long.
    """
    fields: dict[str, list[str]] = {}
    name = None
    for row, line in enumerate(lines[COUNTS + 1 :], COUNTS + 1):
        if name is not None or line.startswith(">"):
            check_length(line, f"line {first + row}")
        if line.startswith(">") and (match := FIELD.match(line)):
            name = match[1]
            fields.setdefault(name, [])
        elif name is not None and line.strip():
            fields[name].append(line.strip())
        else:
            name = None
    return {name: "\n".join(values) for name, values in fields.items()}
