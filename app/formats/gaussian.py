"""Read Gaussian's input (.gjf, .com): charge, multiplicity and Cartesian coordinates of molecules.

Format: gaussian.com/input. What it says of the calculation is of no interest here, but for the unit
of its coordinates.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from ase.data import chemical_symbols

from app.atoms.elements import isotopes_ignored, read_symbols
from app.atoms.structure import Structure
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.doubts import doubts
from app.formats.frame import Frame
from app.formats.lengths import BOHR
from app.formats.text import short, split_lines

LINK = "--link1--"
ATOM = re.compile(r"([A-Za-z]{1,2}|\d{1,3})(?:-(?!bq)[\w.-]+)?(?:\(.*\))?", re.IGNORECASE)
"""An element by symbol or number, maybe with a type, a charge or options."""
BOHR_UNITS = re.compile(r"units?\s*=?\s*\(?[^)\s]*\b(au|bohr)\b", re.IGNORECASE)
Row = tuple[int, str]
NO_SECTIONS: list[list[Row]] = [[], [], []]


def parse(text: str, _: int = 0, before: int = 0) -> Iterator[Frame]:
    """The molecules of all jobs of a file, each with its title as `id`.

    One that is malformed is an error in its own place; the message names line (from 1) and value.

    Args:
        text: a file's content, or a part of it that begins with a job.
        before: lines before the first one, for messages.
    """
    jobs: list[list[Row]] = [[]]
    for number, line in enumerate(split_lines(text), before + 1):
        if line.strip().lower() == LINK:
            jobs.append([])
        else:
            jobs[-1].append((number, line))
    return (_frame(job) for job in jobs if any(line.strip() for _, line in job))


def _frame(job: Sequence[Row]) -> Frame:
    sections = _sections(job) + NO_SECTIONS
    route, title, molecule = sections[:3]
    name = " ".join(line.strip() for _, line in title) or None
    try:
        return _read(" ".join(line for _, line in route), molecule, name)
    except InputError as error:
        return Frame(error, name)


def _sections(job: Sequence[Row]) -> list[list[Row]]:
    """Rows between blank lines."""
    sections: list[list[Row]] = [[]]
    for number, line in job:
        if line.strip():
            sections[-1].append((number, line))
        elif sections[-1]:
            sections.append([])
    return sections


def _read(route: str, molecule: Sequence[Row], name: str | None) -> Frame:
    if "#" not in route or not molecule:
        raise InvalidFormat(
            "no Gaussian input: a route that begins with #, a title, and charge, multiplicity and "
            "atoms are expected, with blank lines between them"
        )
    charge, multiplicity = _state(*molecule[0])
    atoms = [_atom(number, line) for number, line in molecule[1:]]
    elements = read_symbols([symbol for symbol, _ in atoms])
    isotopes = [n for n, (_, line) in enumerate(molecule[1:]) if "iso=" in line.lower()]
    length = BOHR if BOHR_UNITS.search(route) else 1.0
    table = length * np.array([position for _, position in atoms], dtype=np.float64).reshape(-1, 3)
    structure = Structure(elements.numbers, table, charge=charge, multiplicity=multiplicity)
    heavy = (isotopes_ignored(isotopes),) if isotopes else ()
    return Frame(structure, name, warnings=elements.warnings + heavy + doubts(structure))


def _state(number: int, line: str) -> tuple[int, int]:
    """Charge and multiplicity; those of fragments may follow."""
    words = line.replace(",", " ").split()
    try:
        return int(words[0][:9]), int(words[1][:9])
    except (ValueError, IndexError):
        raise InvalidFormat(
            f"line {number}: '{short(line)}' where charge and multiplicity are expected"
        ) from None


def _atom(number: int, line: str) -> tuple[str, list[float]]:
    """Symbol and coordinates; a number before the coordinates says whether the atom is frozen."""
    words = line.replace(",", " ").split()
    if words[0].lower() == "tv":
        raise InvalidStructure(f"line {number}: a periodic structure (Tv); write it as extXYZ")
    match = ATOM.fullmatch(words[0])
    numbers = words[2:5] if len(words) > 4 and words[1] in ("0", "-1") else words[1:4]
    try:
        if match is None or len(numbers) < 3 or "_" in "".join(numbers):
            raise ValueError
        position = [float(word.upper().replace("D", "E")) for word in numbers]
    except ValueError:
        raise InvalidFormat(
            f"line {number}: '{short(line)}' is no atom with Cartesian coordinates; convert a "
            "Z-matrix to them, or write the geometry as XYZ"
        ) from None
    name = match[1]
    if name.isdecimal():
        return chemical_symbols[int(name)] if 0 < int(name) < 119 else name, position
    return name.capitalize(), position
