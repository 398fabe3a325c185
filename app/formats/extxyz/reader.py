"""Read extXYZ and plain XYZ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from app.atoms.structure import Booleans, Floats, Integers, Structure, numbers_from_symbols
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.extxyz.comment_line import read_pairs
from app.formats.frame import Frame
from app.formats.info_keys import is_remark, read_charge, read_multiplicity

PLAIN = "species:S:1:pos:R:3"
"""The columns of plain XYZ; what stands to the right of them is skipped."""
MEANINGS = {
    "species": ("species", "S", 1),
    "symbols": ("species", "S", 1),
    "Z": ("Z", "I", 1),
    "numbers": ("Z", "I", 1),
    "pos": ("pos", "R", 3),
    "positions": ("pos", "R", 3),
    "move_mask": ("move", "L", None),
}
"""Meaning, type and width of the columns that make a structure; some names are ASE's."""
FLAGS = {
    "T": True,
    "F": False,
    "True": True,
    "False": False,
    "true": True,
    "false": False,
    "1": True,
    "0": False,
}
SHOWN = 60
"""Characters of a faulty line that a message repeats."""


def parse(text: str) -> list[Frame]:
    """The frames of an XYZ or extXYZ file.

    A frame that is well formed but holds no valid structure (an unknown element, a coordinate that
    is not finite, a flat cell) has the error in the structure's place, so that the other frames can
    be used.

    Args:
        text: the file's content; lines may end in CR LF, and blank lines may follow a frame.

    Raises:
        InvalidFormat: the text is no such file; names frame (from 0), line (from 1), value and
            remedy.
    """
    return list(iter_frames(text))


def iter_frames(text: str) -> Iterator[Frame]:
    """The frames as for `parse`, each read when it is asked for: a limit can stop before the rest
    is read.

    Raises:
        InvalidFormat: as for `parse`, at the frame that is malformed.
    """
    lines = text.removeprefix("\ufeff").rstrip().split("\n")
    start, index = _next_line(lines, 0), 0
    while start < len(lines):
        block = _block(lines, start, index)
        yield block.read()
        start, index = _next_line(lines, start + 2 + len(block.rows)), index + 1


def _next_line(lines: Sequence[str], start: int) -> int:
    """Index of the next line that is not blank; the number of lines where there is none."""
    return next(
        (i for i in range(start, len(lines)) if lines[i] and not lines[i].isspace()), len(lines)
    )


def _block(lines: Sequence[str], start: int, index: int) -> "_Block":
    """The lines of the frame that starts on a line."""
    where, count = f"frame {index}, line {start + 1}", lines[start].strip()
    if not (count.isascii() and count.isdecimal() and len(count) < 16):
        hint = f"; is the number of atoms of frame {index - 1} too small?" if index else ""
        raise InvalidFormat(f"{where}: '{_short(count)}' is not a number of atoms{hint}")
    rows = lines[start + 2 : start + 2 + int(count)]
    if len(rows) < int(count):
        raise InvalidFormat(
            f"{where}: {count} atoms announced, but only {len(rows)} lines follow; is it truncated?"
        )
    return _Block(index, start + 1, lines[start + 1] if start + 1 < len(lines) else "", rows)


class _Columns(NamedTuple):
    """Where the columns start that make a structure, and how many there are in all."""

    species: int | None
    numbers: int | None
    positions: int
    moves: range
    width: int


@dataclass(frozen=True, slots=True)
class _Block:
    """One frame's comment line and rows; `line` is the number of the line with its number of atoms."""

    index: int
    line: int
    comment: str
    rows: Sequence[str]

    def read(self) -> Frame:
        pairs = read_pairs(self.comment) if "=" in self.comment else _free_text(self.comment)
        info = {key: value for key, value in pairs.items() if is_remark(key)}
        return Frame(self._structure(pairs), info.get("id"), info)

    def _structure(self, pairs: Mapping[str, str]) -> Structure | InputError:
        columns = self._columns(pairs.get("Properties"))
        words = self._words(columns, "Properties" in pairs)
        positions = np.array(
            [self._numbers(words[columns.positions + axis]) for axis in range(3)]
        ).T
        cell = self._cell(pairs.get("Lattice"))
        pbc = self._pbc(pairs.get("pbc"), "Lattice" in pairs)
        try:
            numbers = self._elements(words, columns)
            fixed = self._fixed([words[column] for column in columns.moves])
            return Structure(
                numbers, positions, cell, pbc, read_charge(pairs), read_multiplicity(pairs), fixed
            )
        except InvalidStructure as error:
            return error

    def _columns(self, properties: str | None) -> _Columns:
        """Places of the columns, from `Properties` or as in plain XYZ."""
        fields = (properties or PLAIN).split(":")
        places: dict[str, int] = {}
        moves, width = range(0), 0
        for name, kind, count in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
            meaning, expected_kind, expected_count = MEANINGS.get(name, (None, kind, None))
            sound = (
                kind in {"S", "R", "I", "L"}
                and count.isascii()
                and count.isdecimal()
                and int(count[:9]) > 0
            )
            if not sound or kind != expected_kind or expected_count not in (None, int(count)):
                raise self._error(
                    1,
                    f"Properties: '{_short(f'{name}:{kind}:{count}')}' is no valid column; {USAGE}",
                )
            if meaning:
                places[meaning] = width
            width += int(count[:9])
            moves = range(places["move"], width) if meaning == "move" else moves
        if len(fields) % 3 or "pos" not in places or not ("species" in places or "Z" in places):
            raise self._error(
                1, f"Properties: '{_short(properties or PLAIN)}' describes no structure; {USAGE}"
            )
        return _Columns(places.get("species"), places.get("Z"), places["pos"], moves, width)

    def _words(self, columns: _Columns, exact: bool) -> list[tuple[str, ...]]:
        """The rows' words, column by column."""
        rows = [row.split() for row in self.rows]
        widths = set(map(len, rows))
        if not (widths <= {columns.width} if exact else min(widths, default=4) >= columns.width):
            bad = next(
                n
                for n, row in enumerate(rows)
                if len(row) != columns.width and (exact or len(row) < 4)
            )
            raise self._error(
                2 + bad,
                f"{len(rows[bad])} columns where {columns.width} are expected, in '{_short(self.rows[bad])}'; "
                f"check {'Properties and ' if exact else ''}the number of atoms, {len(rows)}",
            )
        return list(zip(*rows, strict=False)) or [()] * columns.width

    def _elements(self, words: Sequence[Sequence[str]], columns: _Columns) -> Integers:
        """Atomic numbers from symbols, or from numbers, which plain XYZ may have in their place."""
        if columns.species is None:
            assert columns.numbers is not None
            return _whole_numbers(self._numbers(words[columns.numbers]))
        symbols = words[columns.species]
        if all(symbol.isdecimal() for symbol in symbols):
            return _whole_numbers(self._numbers(symbols))
        return numbers_from_symbols(symbols)

    def _numbers(self, words: Sequence[str]) -> Floats:
        """One column of numbers."""
        try:
            if "_" not in "".join(words):
                return np.array(list(map(float, words)))
        except ValueError:
            pass  # Fortran's 1.5D-3, or no number at all
        for row, word in enumerate(words):
            if _number(word) is None:
                raise self._error(
                    2 + row, f"'{_short(word)}' is not a number, in '{_short(self.rows[row])}'"
                )
        return np.array([_number(word) for word in words], dtype=np.float64)

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
                2 + row, f"'{_short(word)}' is neither T nor F, in '{_short(self.rows[row])}'"
            )
        return FLAGS[word]

    def _cell(self, lattice: str | None) -> Floats:
        if lattice is None:
            return np.zeros((3, 3))
        values = [_number(word) for word in lattice.replace(",", " ").split()]
        if len(values) != 9 or None in values:
            raise self._error(
                1,
                f'Lattice="{_short(lattice)}" is not nine numbers; '
                'write the three lattice vectors, in Å, as Lattice="ax ay az bx by bz cx cy cz"',
            )
        return np.array(values, dtype=np.float64).reshape(3, 3)

    def _pbc(self, pbc: str | None, has_lattice: bool) -> Booleans:
        if pbc is None:
            return np.full(3, has_lattice)
        flags = [FLAGS.get(word) for word in pbc.replace(",", " ").split()]
        if len(flags) not in (1, 3) or None in flags:
            raise self._error(
                1, f'pbc="{_short(pbc)}" is not one or three flags; write pbc="T T F"'
            )
        return np.broadcast_to(np.array(flags, dtype=bool), 3)

    def _error(self, row: int, message: str) -> InvalidFormat:
        """An error on the row-th line after the one with the number of atoms."""
        return InvalidFormat(f"frame {self.index}, line {self.line + row}: {message}")


USAGE = "write name:type:columns for each, such as species:S:1:pos:R:3"


def _free_text(comment: str) -> dict[str, str]:
    return {"comment": comment.strip()} if comment and not comment.isspace() else {}


def _number(word: str) -> float | None:
    """A decimal number, also with Fortran's exponent, as in 1.5D-3."""
    try:
        return None if "_" in word else float(word.upper().replace("D", "E"))
    except ValueError:
        return None


def _whole_numbers(values: Floats) -> Integers:
    """Atomic numbers; those that are not whole or far out of range become 0, which is no element."""
    return np.where((values % 1 == 0) & (np.abs(values) < 1000), values, 0.0).astype(np.int64)


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
