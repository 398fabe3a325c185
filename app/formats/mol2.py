"""Read MOL2, the molecules of Tripos' SYBYL.

Format: Tripos Mol2 File Format (2005).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ase.data import atomic_numbers

from app.atoms.elements import read_symbols
from app.atoms.structure import Floats, Structure
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.atom_states import sum_of_results
from app.formats.cell_parameters import cell_from
from app.formats.doubts import doubts
from app.formats.frame import Frame
from app.formats.stated import stated
from app.formats.text import LONGEST, check_length, short, split_lines
from app.formats.topology import Bond, Topology

MARK = "@<TRIPOS>"
READ = ("MOLECULE", "ATOM", "BOND", "CRYSIN", "UNITY_ATOM_ATTR", "COMMENT")
"""Sections of which something is read."""
NO_CHARGES = "NO_CHARGES"
HEAD = 6
"""Lines at the begin of a section that may be blank: the name and the comment of a molecule."""
KINDS = {"1": 1, "2": 2, "3": 3, "ar": 4, "am": 1, "un": 8, "du": 8}
"""Of bonds, in the numbers of molfiles; `nc`, not connected, is none."""
PRIMITIVE = ("1", "")
"""Space groups, by their number, in which a file holds all atoms of its cell."""
Row = tuple[int, str]


@dataclass
class _Record:
    """The sections of one molecule: numbers and texts of their lines, by their names."""

    sections: dict[str, list[Row]] = field(default_factory=dict)

    def rows(self, name: str) -> list[tuple[int, list[str]]]:
        """Numbers and words of the lines of a section that are not blank."""
        rows = [(number, line.split()) for number, line in self.sections.get(name, ())]
        return [(number, words) for number, words in rows if words]


def parse(text: str, first: int = 0, before: int = 0) -> Iterator[Frame]:
    """The molecules of a file, each with its name as `id`.

    One that is malformed is an error in its own place; the message names molecule (from 0), line
    (from 1) and value.

    Args:
        text: a file's content, or a part of it that begins with a molecule.
        first: number of the first molecule, for messages.
        before: lines before the first one, for messages.
    """
    for number, record in enumerate(_records(split_lines(text), before), first):
        yield _frame(record, number)


def _records(lines: Sequence[str], before: int) -> Iterator[_Record]:
    record: _Record | None = None
    rows: list[Row] | None = None
    for number, line in enumerate(lines, before + 1):
        if line.startswith(MARK):
            name = line[len(MARK) :].strip().upper()
            if name == "MOLECULE":
                if record is not None:
                    yield record
                record = _Record()
            known = record.sections.setdefault(name, []) if record else None
            rows = known if name in READ else None
        elif rows is not None and not line.startswith("#") and (line.strip() or len(rows) < HEAD):
            rows.append((number, line))
    if record is not None:
        yield record


def _frame(record: _Record, number: int) -> Frame:
    head = record.sections["MOLECULE"]
    title = head[0][1].strip()[:LONGEST] if head else ""
    try:
        return _read(record, title or None)
    except InvalidFormat as error:
        return Frame(InvalidFormat(f"molecule {number}, {error}"), title or None)
    except InputError as error:
        return Frame(error, title or None)


def _read(record: _Record, title: str | None) -> Frame:
    atoms = record.rows("ATOM")
    _check_counts(record, len(atoms), len(record.rows("BOND")))
    for number, words in atoms:
        if len(words) < 6:
            raise InvalidFormat(
                f"line {number}: '{short(' '.join(words))}' has {len(words)} words where at least 6 are "
                "expected: number, name, x, y, z and type"
            )
    elements = read_symbols([_symbol(words[5]) for _, words in atoms])
    places = {words[0]: atom for atom, (_, words) in enumerate(atoms)}
    topology = Topology(_bonds(record, places), _formal(record, places))
    cell = _cell(record)
    structure = Structure(
        elements.numbers,
        np.array([_numbers(words[2:5], number) for number, words in atoms]).reshape(-1, 3),
        np.zeros((3, 3)) if cell is None else cell,
        np.array(cell is not None),
        *_state(record, topology, atoms),
    )
    doubtful = doubts(structure, topology.known_bonds(len(structure)))
    return Frame(structure, title, {}, elements.warnings + doubtful, topology)


def _check_counts(record: _Record, atoms: int, bonds: int) -> None:
    """Hold what the molecule's second line announces against what is there."""
    head = record.sections["MOLECULE"]
    number, line = head[1] if len(head) > 1 else (head[0][0] if head else 1, "")
    words = line.split()[:2]
    for word, there, name in zip(words, (atoms, bonds), ("atoms", "bonds"), strict=False):
        if not (word.isascii() and word.isdecimal()) or int(word[:9]) != there:
            raise InvalidFormat(
                f"line {number}: '{short(word)}' {name} announced, but {there} are there; is it truncated?"
            )
    if not words:
        raise InvalidFormat(f"line {number}: no number of atoms; is the molecule truncated?")


def _symbol(kind: str) -> str:
    """The element of an atom's type, as in `C.ar`, `Cl` or `LP`."""
    head = kind.partition(".")[0]
    return head.capitalize() if head.capitalize() in atomic_numbers else head


def _bonds(record: _Record, places: Mapping[str, int]) -> tuple[Bond, ...]:
    bonds = []
    for number, words in record.rows("BOND"):
        kind = words[3].lower() if len(words) > 3 else ""
        ends = [places.get(word) for word in words[1:3]]
        if None in ends or (kind not in KINDS and kind != "nc"):
            raise InvalidFormat(
                f"line {number}: '{short(' '.join(words))}' is no bond of two atoms"
            )
        if kind in KINDS:
            bonds.append(Bond(KINDS[kind], *(end for end in ends if end is not None)))
    return tuple(bonds)


def _formal(record: _Record, places: Mapping[str, int]) -> dict[int, int]:
    """Formal charges that attributes of atoms state, by atom."""
    charges: dict[int, int] = {}
    rows = iter(record.rows("UNITY_ATOM_ATTR"))
    for number, words in rows:
        if len(words) != 2 or words[0] not in places or not words[1].isdecimal():
            raise InvalidFormat(
                f"line {number}: '{short(' '.join(words))}' are no attributes of an atom"
            )
        for _ in range(int(words[1][:9])):
            number, pair = next(rows, (number, []))
            if not pair:
                raise InvalidFormat(f"line {number}: attributes are missing; is it truncated?")
            if pair[0].lower() == "charge":
                value = stated({"charge": " ".join(pair[1:])}).charge or 0
                charges |= {places[words[0]]: value} if value else {}
    return charges


def _state(
    record: _Record, topology: Topology, atoms: Sequence[tuple[int, list[str]]]
) -> tuple[int, int | None]:
    """Total charge and multiplicity: of formal charges, else of partial ones, else of a comment.

    Raises:
        InvalidStructure: they contradict each other.
    """
    head = record.sections["MOLECULE"]
    comments = [line for _, line in (*head[5:], *record.sections.get("COMMENT", ()))]
    for line in comments:
        check_length(line, "a comment")
    said = stated({}, " ".join(comments)[:LONGEST])
    kind = head[3][1].strip().upper() if len(head) > 3 else NO_CHARGES
    partial = None
    if kind != NO_CHARGES and all(len(words) > 8 for _, words in atoms):
        partial = sum_of_results(np.array([_numbers(words[8:9], n)[0] for n, words in atoms]))
    known = [topology.charge if topology.charges else None, partial, said.charge]
    stated_charges = {charge for charge in known if charge is not None}
    if len(stated_charges) > 1:
        told = " and ".join(map(str, sorted(stated_charges)))
        raise InvalidStructure(f"charges of {told} are stated for the molecule; mend one of them")
    return next(iter(stated_charges), 0), said.multiplicity


def _cell(record: _Record) -> Floats | None:
    """The cell, or None.

    Raises:
        InvalidFormat: no lengths or angles.
        InvalidStructure: a space group of which the file holds a part only.
    """
    rows = record.rows("CRYSIN")
    if not rows:
        return None
    number, words = rows[0]
    group = words[6] if len(words) > 6 else ""
    if group not in PRIMITIVE:
        raise InvalidStructure(
            f"line {number}: space group {short(group)}; the file holds the asymmetric unit alone: write "
            "all atoms of the cell with space group 1, or leave CRYSIN out for the molecule"
        )
    return cell_from(np.array(_numbers(words[:6], number, 6)), f"line {number}")


def _numbers(words: Sequence[str], line: int, count: int = 1) -> list[float]:
    try:
        if len(words) < count or "_" in "".join(words):
            raise ValueError
        return [float(word) for word in words]
    except ValueError:
        raise InvalidFormat(f"line {line}: '{short(' '.join(words))}' are no numbers") from None
