"""LAMMPS data files, slab by slab: https://docs.lammps.org/read_data.html.

Lengths are Å, as in the styles of units `metal` and `real`. An element is that of its type's label,
or else the one whose mass the file states.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols

from app.atoms.structure import Floats, Integers, Structure
from app.errors import InputError, InvalidFormat
from app.formats.slabs.source import SLAB, Head, Slab

SUFFIXES = (".data", ".lammps", ".lmp")
COLUMNS = {
    "atomic": (1, 2, None),
    "charge": (1, 3, 2),
    "molecular": (2, 3, None),
    "full": (2, 4, 3),
}
"""Of a style of atoms: where its type, x and charge stand in a line that begins with its number."""
MASS_TOLERANCE = 0.02
"""Standard atomic masses within which a stated one is that of an element."""
LEAST_CHARGE = 1e-6
"""Sum of charges, in elementary charges for each atom, beyond which the structure is charged."""
SECTIONS = re.compile(r"^\s*([A-Z][A-Za-z]*(?: [A-Z][A-Za-z]*)*)\s*(?:#\s*(\S+))?\s*$")


class _Header(NamedTuple):
    """What stands before the atoms.

    Attributes:
        atoms: how many.
        cell: (3, 3), Å.
        elements: atomic numbers by type, a number or a label.
        style: of the atoms.
        line: that begins the atoms, from 1.
    """

    atoms: int
    cell: Floats
    elements: dict[str, int]
    style: str
    line: int


class LammpsData:
    """A data file, periodic in all directions, as LAMMPS takes it where nothing else is said. What
    stands behind the atoms, such as velocities, is not read.

    Args:
        path: of the file.

    Attributes:
        head: of all atoms.

    Raises:
        InvalidFormat: no such file, or not of this format; names line and remedy.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._header = _Reader(path).header()
        self.head = Head(self._header.atoms, self._header.cell, np.ones(3, dtype=bool))

    def slabs(self) -> Iterator[Slab]:
        """See `Source`; in the order of the file, whatever the numbers of the atoms."""
        charge = 0.0
        with self._path.open(encoding="utf-8") as lines:
            for _ in islice(lines, self._header.line):
                pass
            rows = (line for line in lines if not line.isspace())
            for start in range(0, self.head.n_atoms, SLAB):
                count = min(SLAB, self.head.n_atoms - start)
                slab, charges = self._slab(list(islice(rows, count)), count, start)
                charge += charges
                yield slab
        if abs(charge) > LEAST_CHARGE * self.head.n_atoms:
            raise InvalidFormat(
                f"{self._path}: the charges of the atoms add up to {charge:.3g}; what is read slab "
                "by slab is neutral"
            )

    def _slab(self, rows: list[str], count: int, start: int) -> tuple[Slab, float]:
        kind, x, charge = COLUMNS[self._header.style]
        words = [row.partition("#")[0].split() for row in rows]
        least = x + 3
        for row, each in enumerate(words):
            if len(each) not in (least, least + 3):
                raise InvalidFormat(
                    f"{self._path}: atom {start + row}: {len(each)} columns, where atoms of style "
                    f"{self._header.style} have {least}, or {least + 3} with images: "
                    f"'{rows[row].strip()[:60]}'"
                )
        if len(words) < count:
            raise InvalidFormat(
                f"{self._path}: {self.head.n_atoms} atoms announced, but only {start + len(words)} "
                "lines follow; is it truncated?"
            )
        numbers = self._numbers([each[kind] for each in words], start)
        positions = _floats(self._path, [each[x : x + 3] for each in words], start)
        try:
            atoms = Structure(numbers, positions)
        except InputError as error:
            raise InvalidFormat(f"{self._path}: of the atoms from {start}: {error}") from error
        total = 0.0
        if charge is not None:
            total = float(_floats(self._path, [[each[charge]] for each in words], start).sum())
        return Slab(atoms.numbers, atoms.positions), total

    def _numbers(self, types: list[str], start: int) -> Integers:
        elements = self._header.elements
        try:
            return np.array([elements[each] for each in types], dtype=np.int64)
        except KeyError as error:
            row = types.index(error.args[0])
            raise InvalidFormat(
                f"{self._path}: atom {start + row} is of type {error.args[0]}, whose mass or label "
                f"the file does not state; it does for {', '.join(elements) or 'none'}"
            ) from None


class _Reader:
    """Reads what stands before the atoms."""

    def __init__(self, path: Path) -> None:
        self._path, self._line = path, 0
        self._values: dict[str, list[str]] = {}
        self._labels: dict[str, str] = {}
        self._masses: dict[str, float] = {}

    def header(self) -> _Header:
        with self._path.open(encoding="utf-8") as file:
            lines = self._numbered(file)
            next(lines, None)  # the first line is a comment
            for line in lines:
                section = SECTIONS.match(line)
                if section is None:
                    self._read_value(line)
                elif section[1] == "Atoms":
                    return self._header(section[2])
                elif section[1] == "Masses":
                    self._masses = {w[0]: self._mass(w[1]) for w in self._rows(lines)}
                elif section[1] == "Atom Type Labels":
                    self._labels = {w[0]: w[1] for w in self._rows(lines)}
                else:
                    raise self._error(
                        f"section {section[1]} stands before Atoms, where only Masses and Atom Type "
                        "Labels are read; write the file with write_data and nocoeff"
                    )
        raise self._error("there is no section Atoms")

    def _numbered(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._line += 1
            yield line

    def _read_value(self, line: str) -> None:
        """A value of the head: numbers, then words."""
        words = line.partition("#")[0].split()
        first = next((i for i, word in enumerate(words) if word[0].isalpha()), len(words))
        self._values[" ".join(words[first:])] = words[:first]

    def _mass(self, word: str) -> float:
        try:
            return float(word)
        except ValueError:
            raise self._error(f"'{word}' is no mass") from None

    def _rows(self, lines: Iterator[str]) -> list[list[str]]:
        """Two words for each type of atoms."""
        count = self._integer("atom types")
        rows = (line.partition("#")[0].split() for line in lines)
        found = list(islice((row for row in rows if row), count))
        if len(found) < count or any(len(row) != 2 for row in found):
            raise self._error(f"{count} lines of two words are expected before it")
        return found

    def _header(self, style: str | None) -> _Header:
        if style not in COLUMNS:
            raise self._error(
                f"Atoms of style {style or 'that is not stated'}; write it behind, as in "
                f"'Atoms # atomic': one of {', '.join(COLUMNS)}"
            )
        elements = {}
        for kind in map(str, range(1, self._integer("atom types") + 1)):
            label = self._labels.get(kind)
            element = self._element(kind, label)
            if element is not None:
                elements[kind] = element
                if label is not None:
                    elements[label] = element
        return _Header(self._integer("atoms"), self._box(), elements, style, self._line)

    def _element(self, kind: str, label: str | None) -> int | None:
        if label is not None and label in atomic_numbers:
            return int(atomic_numbers[label])
        mass = self._masses.get(kind, self._masses.get(label or ""))
        if mass is None:
            return None
        number = int(np.argmin(np.abs(atomic_masses[1:] - mass))) + 1
        if abs(atomic_masses[number] - mass) > MASS_TOLERANCE * max(
            1.0, atomic_masses[number] / 20
        ):
            raise self._error(
                f"type {kind} has mass {mass:g}, which is no element's (the nearest is "
                f"{chemical_symbols[number]} with {atomic_masses[number]:.4g}); give it a label of "
                "one in Atom Type Labels"
            )
        return number

    def _box(self) -> Floats:
        if "avec" in self._values:
            raise self._error("a general triclinic box (avec, bvec, cvec) is not read")
        ends = np.array([self._floats(f"{a}lo {a}hi", 2) for a in "xyz"])
        tilts = self._floats("xy xz yz", 3) if "xy xz yz" in self._values else [0.0, 0.0, 0.0]
        cell = np.diag(ends[:, 1] - ends[:, 0])
        cell[1, 0], cell[2, 0], cell[2, 1] = tilts
        return cell

    def _integer(self, name: str) -> int:
        (word,) = self._words(name, 1)
        if not word.isdecimal():
            raise self._error(f"'{word} {name}': no number of {name}")
        return int(word)

    def _floats(self, name: str, count: int) -> list[float]:
        try:
            return [float(word) for word in self._words(name, count)]
        except ValueError:
            raise self._error(f"'{' '.join(self._values[name])} {name}': no numbers") from None

    def _words(self, name: str, count: int) -> list[str]:
        words = self._values.get(name, [])
        if len(words) != count:
            raise self._error(f"before the atoms there is no line '{'N ' * count}{name}'")
        return words

    def _error(self, message: str) -> InvalidFormat:
        return InvalidFormat(f"{self._path}, line {self._line}: {message}")


def _floats(path: Path, rows: list[list[str]], start: int) -> Floats:
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError:
        for row, words in enumerate(rows):
            for word in words:
                try:
                    float(word)
                except ValueError:
                    raise InvalidFormat(
                        f"{path}: atom {start + row}: '{word}' is not a number"
                    ) from None
        raise
