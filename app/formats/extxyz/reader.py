"""Read extXYZ and plain XYZ."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np

from app.atoms.elements import Elements, read_symbols
from app.atoms.structure import Booleans, Floats, Integers, Structure
from app.atoms.warnings import AnswerWarning
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.atom_states import multiplicity_of, sum_of_results, total_charge
from app.formats.cell_words import USAGE, other_cell
from app.formats.doubts import doubts
from app.formats.extxyz.columns import PLAIN_COLUMNS, Columns, read_columns
from app.formats.extxyz.comment_line import Words, read_words
from app.formats.extxyz.values import (
    FLAGS,
    number,
    read_lattice,
    read_pbc,
    whole_numbers,
)
from app.formats.frame import Frame
from app.formats.info_keys import GEOMETRY_KEYS, is_remark
from app.formats.masses import unusual_masses
from app.formats.stated import Stated, is_prose, meaning, stated
from app.formats.text import check_length, short, split_lines
from app.formats.unclear import unclear_words

T = TypeVar("T")


def parse(text: str) -> list[Frame]:
    """The frames of an XYZ or extXYZ file.

    A frame that holds no valid structure has the error in the structure's place, so that the other
    frames can be used; the message names frame (from 0), line (from 1), value and remedy. After a
    frame with a wrong number of atoms, nobody knows where the next one starts: it is the last one.

    Args:
        text: the file's content; blank lines may follow a frame.
    """
    return list(iter_frames(text))


def iter_frames(text: str, first: int = 0, before: int = 0) -> Iterator[Frame]:
    """The frames as for `parse`, each read when it is asked for: a limit can stop before the rest
    is read.

    Args:
        text: a file's content, or a part of it that begins with a frame.
        first: number of the first frame, for messages.
        before: lines before the first one, for messages.
    """
    lines = split_lines(text.rstrip())
    start, index = _next_line(lines, 0), first
    while start < len(lines):
        try:
            block = _block(lines, start, index, before)
        except InvalidFormat as error:
            yield Frame(error)
            return
        start, index = _next_line(lines, start + 2 + len(block.rows)), index + 1
        frame = block.read()
        if start < len(lines) and not is_count(lines[start].strip()):
            yield (
                frame
                if isinstance(frame.structure, InvalidFormat)
                else block.too_long(before + start, lines[start])
            )
            return
        yield frame


def _next_line(lines: Sequence[str], start: int) -> int:
    """Index of the next line that is not blank; the number of lines where there is none."""
    return next(
        (i for i in range(start, len(lines)) if lines[i] and not lines[i].isspace()), len(lines)
    )


def is_count(text: str) -> bool:
    """Whether a line without spaces around it is a number of atoms."""
    return text.isascii() and text.isdecimal() and len(text) < 16


def _block(lines: Sequence[str], start: int, index: int, before: int) -> "_Block":
    """The lines of the frame that starts on a line."""
    where, count = f"frame {index}, line {before + start + 1}", lines[start].strip()
    if not is_count(count):
        raise InvalidFormat(f"{where}: '{short(count)}' is not a number of atoms")
    rows = lines[start + 2 : start + 2 + int(count)]
    if len(rows) < int(count):
        raise InvalidFormat(
            f"{where}: {count} atoms announced, but only {len(rows)} lines follow; is it truncated?"
        )
    return _Block(
        index, before + start + 1, lines[start + 1] if start + 1 < len(lines) else "", rows
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """One frame's comment line and rows; `line` is the number of the line with its number of atoms."""

    index: int
    line: int
    comment: str
    rows: Sequence[str]

    def read(self) -> Frame:
        try:
            pairs, words, bare = self._pairs()
        except InvalidFormat as error:
            return Frame(error)
        info = self._info(pairs, words)
        try:
            said = stated(pairs, " ".join(words) if pairs else self.comment, bare)
            if said.length != 1.0:
                info = {key: value for key, value in info.items() if meaning(key) != "unit"}
            told = (value for key, value in pairs.items() if key in bare or is_prose(key))
            free = " ".join((*words, *told)) if pairs else self.comment
            structure, elements = self._structure(pairs, said, free)
        except InputError as error:
            return Frame(error, info.get("id"), info)
        unclear = unclear_words(pairs, " ".join(words) if pairs else self.comment, structure)
        warnings = elements.warnings + unclear + doubts(structure)
        return Frame(structure, info.get("id"), info, warnings)

    def _pairs(self) -> Words:
        """Pairs and words of the comment line, if it has any pair."""
        check_length(self.comment, f"frame {self.index}, line {self.line + 1}")
        return self._stated(read_words, self.comment) if "=" in self.comment else Words({}, (), ())

    def _info(self, pairs: Mapping[str, str], words: Sequence[str]) -> dict[str, str]:
        """What the comment line says besides; words that belong to no `=` are true."""
        if not pairs:
            comment = self.comment.strip()
            return {"comment": comment} if comment else {}
        return {key: value for key, value in pairs.items() if is_remark(key)} | {
            word: "T" for word in words if is_remark(word)
        }

    def too_long(self, place: int, line: str) -> Frame:
        """The frame's error, if there are more lines than its number of atoms says."""
        return Frame(
            self._error(
                0,
                f"{len(self.rows)} atoms announced, but line {place + 1}, '{short(line)}', is no "
                "number of atoms of a next frame; is there an atom more?",
            )
        )

    def _structure(
        self, pairs: Mapping[str, str], said: Stated, free: str
    ) -> tuple[Structure, Elements]:
        if not self.rows:
            raise InvalidStructure("the structure has no atoms; give at least one")
        geometry = self._geometry(pairs)
        properties = geometry.get("properties")
        columns = PLAIN_COLUMNS if properties is None else self._stated(read_columns, properties)
        words = self._words(columns)
        positions = self._table(words, columns.pos)
        cell = self._cell(pairs, geometry.get("lattice"), free)
        elements = self._elements(words, columns)
        self._check_occupancy(words, columns)
        if said.length != 1.0:
            with np.errstate(over="ignore"):  # what is not finite then is refused as such
                positions, cell = positions * said.length, cell * said.length
        structure = Structure(
            elements.numbers,
            positions,
            cell,
            self._pbc(geometry.get("pbc"), "lattice" in geometry),
            self._charge(words, columns, said),
            self._multiplicity(words, columns, said),
            self._fixed([words[column] for column in columns.moves]),
        )
        return structure, Elements(elements.numbers, self._isotopes(words, columns, elements))

    def _geometry(self, pairs: Mapping[str, str]) -> dict[str, str]:
        """The values of the format's own keys, which some programs write in another case."""
        geometry: dict[str, str] = {}
        for key, value in pairs.items():
            if (lower := key.lower()) in GEOMETRY_KEYS and geometry.setdefault(
                lower, value
            ) != value:
                raise self._error(1, f"{key} stands twice, with different values; leave one out")
        return geometry

    def _stated(self, read: Callable[[str], T], text: str) -> T:
        """What the text of a key of the comment line means."""
        try:
            return read(text)
        except InvalidFormat as error:
            raise self._error(1, str(error)) from None

    def _words(self, columns: Columns) -> list[tuple[str, ...]]:
        """The rows' words, column by column, and at most one column of what is left over."""
        width = columns.width
        rows = [row.split(None, width) for row in self.rows]
        widths = set(map(len, rows))
        if widths != {width} and (columns.exact or min(widths) < width):
            bad = next(
                n
                for n, row in enumerate(rows)
                if len(row) < width or (columns.exact and len(row) > width)
            )
            found = f"more than {width}" if len(rows[bad]) > width else str(len(rows[bad]))
            raise self._error(
                2 + bad,
                f"{found} columns where {width} are expected, in '{short(self.rows[bad])}'; "
                f"check {'Properties and ' if columns.exact else ''}the number of atoms, {len(rows)}",
            )
        return list(zip(*rows, strict=False))

    def _elements(self, words: Sequence[Sequence[str]], columns: Columns) -> Elements:
        """Elements from symbols or numbers; numbers in the place of symbols must be no types."""
        if not columns.species:
            return Elements(whole_numbers(self._numbers(words[columns.Z.start])))
        symbols = words[columns.species.start]
        if not (symbols[0].isdecimal() and all(map(str.isdecimal, symbols))):
            elements = read_symbols(symbols)
            self._check_numbers(elements.numbers, words, columns)
            return elements
        numbers = whole_numbers(self._numbers(symbols))
        kinds = np.unique(numbers)
        if "timestep" in self.comment.lower() or kinds.tolist() == [*range(1, len(kinds) + 1)]:
            raise InvalidStructure(
                f"the atoms are numbered 1 to {kinds[-1]}, which may be LAMMPS types; write symbols, or "
                "Properties=Z:I:1:pos:R:3 if they are atomic numbers"
            )
        return Elements(numbers)

    def _check_numbers(
        self, known: Integers, words: Sequence[Sequence[str]], columns: Columns
    ) -> None:
        """Refuse atomic numbers that contradict the symbols beside them."""
        for column in columns.Z:
            other = np.flatnonzero(whole_numbers(self._numbers(words[column])) != known)
            if other.size:
                atom = int(other[0])
                raise InvalidStructure(
                    f"atom {atom}: atomic number {short(words[column][atom])} beside the symbol "
                    f"'{short(words[columns.species.start][atom])}'; mend one of them"
                )

    def _isotopes(
        self, words: Sequence[Sequence[str]], columns: Columns, elements: Elements
    ) -> tuple[AnswerWarning, ...]:
        """The warning of isotopes, by their symbols, else by their masses."""
        if elements.warnings or not columns.masses:
            return elements.warnings
        return unusual_masses(elements.numbers, self._numbers(words[columns.masses.start]))

    def _check_occupancy(self, words: Sequence[Sequence[str]], columns: Columns) -> None:
        for column in columns.occupancy:
            partial = np.flatnonzero(self._numbers(words[column]) != 1.0)
            if partial.size:
                raise InvalidStructure(
                    f"atom {partial[0]}: occupancy {words[column][partial[0]]}; energies are those of "
                    "whole atoms: make an ordered structure first"
                )

    def _charge(self, words: Sequence[Sequence[str]], columns: Columns, said: Stated) -> int:
        if said.charge is not None:
            return said.charge
        if columns.charges:
            return total_charge(self._numbers(words[columns.charges.start]))
        if columns.partial:
            return sum_of_results(self._numbers(words[columns.partial.start])) or 0
        return 0

    def _multiplicity(
        self, words: Sequence[Sequence[str]], columns: Columns, said: Stated
    ) -> int | None:
        """2S+1 as it is stated, else of the first column of moments that are not all zero."""
        if said.multiplicity is not None:
            return said.multiplicity
        for chosen in (columns.moments, columns.calculated, columns.spins):
            moments = self._table(words, chosen) if chosen else np.zeros((0, 1))
            if moments.any():
                return multiplicity_of(moments[:, 0] if len(chosen) == 1 else moments)
        return None

    def _table(self, words: Sequence[Sequence[str]], columns: range) -> Floats:
        """(N, columns) numbers."""
        chosen = chain.from_iterable(words[column] for column in columns)
        return self._numbers(list(chosen)).reshape(len(columns), -1).T

    def _numbers(self, words: Sequence[str]) -> Floats:
        """One column of numbers, or several after each other."""
        try:
            if "_" not in "".join(words):
                return np.array(list(map(float, words)))
        except ValueError:
            pass  # Fortran's 1.5D-3, or no number at all
        for place, word in enumerate(words):
            if number(word) is None:
                row = place % len(self.rows)
                hint = "; write a point for the comma" if "," in word else ""
                raise self._error(
                    2 + row, f"'{short(word)}' is not a number, in '{short(self.rows[row])}'{hint}"
                )
        return np.array([number(word) for word in words], dtype=np.float64)

    def _fixed(self, columns: Sequence[Sequence[str]]) -> Booleans | None:
        """Atoms that may not move: those whose `move_mask` is false, as ASE writes it."""
        if not columns:
            return None
        moves = np.array(
            [[self._flag(row, word) for row, word in enumerate(column)] for column in columns]
        )
        if (moves != moves[0]).any():
            atom = int(np.argmax((moves != moves[0]).any(axis=0)))
            raise InvalidStructure(
                f"atom {atom}: move_mask fixes some of its coordinates; an atom can only be fixed or free as a whole"
            )
        return np.asarray(~moves[0])

    def _flag(self, row: int, word: str) -> bool:
        if word not in FLAGS:
            raise self._error(
                2 + row, f"'{short(word)}' is neither T nor F, in '{short(self.rows[row])}'"
            )
        return FLAGS[word]

    def _cell(self, pairs: Mapping[str, str], lattice: str | None, free: str) -> Floats:
        if lattice is not None:
            return self._stated(read_lattice, lattice)
        if other := other_cell(pairs, free):
            raise self._error(1, f"{other}: did you mean Lattice? {USAGE}")
        return np.zeros((3, 3))

    def _pbc(self, pbc: str | None, has_lattice: bool) -> Booleans:
        return np.full(3, has_lattice) if pbc is None else self._stated(read_pbc, pbc)

    def _error(self, row: int, message: str) -> InvalidFormat:
        """An error on the row-th line after the one with the number of atoms."""
        return InvalidFormat(f"frame {self.index}, line {self.line + row}: {message}")
