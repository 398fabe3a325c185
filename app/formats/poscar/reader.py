"""Read POSCAR and CONTCAR."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile

import numpy as np

from app.atoms.elements import read_symbols
from app.atoms.structure import Booleans, Floats, Structure
from app.atoms.warnings import AnswerWarning
from app.errors import InputError, InvalidFormat, InvalidStructure
from app.formats.extxyz.comment_line import first_value, without
from app.formats.frame import Frame
from app.formats.stated import stated
from app.formats.text import LONGEST, check_length, short, split_lines

SYMBOL = re.compile(r"([A-Za-z]{1,2})(?:[_/].*)?")
"""An element, maybe with the name of its pseudopotential, as in N_s or H_h/2a4f."""
FACTOR = re.compile(r"[-+.\d][-+.\deE]*")
Row = tuple[int, list[str]]


def parse(text: str) -> list[Frame]:
    """The one structure of the file, or why there is none; the message names line and value."""
    if not text.strip():
        return []
    lines = split_lines(text.rstrip())
    title = _title(lines[0])
    try:
        structure, warnings = _structure(lines)
    except InputError as error:
        return [Frame(error, title)]
    return [Frame(structure, title, warnings=warnings)]


def _title(line: str) -> str | None:
    """What the first line calls the structure: its `id`, else all of it."""
    named = first_value(line, "id") if len(line) <= LONGEST else None
    return named or line.strip() or None


def _structure(lines: Sequence[str]) -> tuple[Structure, tuple[AnswerWarning, ...]]:
    check_length(lines[0], "line 1")
    said, rows = stated({}, without(lines[0], "id")), _rows(lines)
    scale, vectors = _scale(next(rows)), np.array([_floats(next(rows), 3) for _ in range(3)])
    if len(scale) == 1 and scale[0] < 0:
        scale = np.array([_to_volume(vectors, -scale[0])])
    symbols, counts = _species(rows, lines[0])
    number, words = next(rows)
    selective = words[0][0] in "Ss"
    number, words = next(rows) if selective else (number, words)
    given = list(islice(rows, sum(counts)))
    _check_end(lines, given[-1][0] if given else number)
    positions = np.array([_floats(row, 3) for row in given]).reshape(-1, 3)
    elements = read_symbols(
        [s for s, count in zip(symbols, counts, strict=True) for _ in range(count)]
    )
    structure = Structure(
        elements.numbers,
        positions * scale if words[0][0] in "CcKk" else positions @ (vectors * scale),
        vectors * scale,
        np.ones(3, dtype=bool),
        said.charge or 0,
        said.multiplicity,
        _fixed(given) if selective else None,
    )
    return structure, elements.warnings


def _check_end(lines: Sequence[str], last: int) -> None:
    """Refuse a position more than there are atoms; a blank line stands before velocities."""
    words = lines[last].split()[:3] if last < len(lines) else []
    if len(words) == 3 and all(FACTOR.fullmatch(word) for word in words):
        raise InvalidFormat(
            f"line {last + 1}: '{short(lines[last])}' follows the last atom; are the numbers of atoms "
            "too small?"
        )


def _rows(lines: Sequence[str]) -> Iterator[Row]:
    """Numbers and words of the lines from the second on, none of which may be blank.

    Raises:
        InvalidFormat: a line is blank or missing.
    """
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            raise InvalidFormat(f"line {number}: blank where the structure is not complete yet")
        yield number, line.split()
    raise InvalidFormat(f"line {len(lines)}: the file ends here, too early; is it truncated?")


def _floats(row: Row, count: int) -> Floats:
    number, words = row
    try:
        if len(words) < count or "_" in "".join(words[:count]):
            raise ValueError
        return np.array([float(word) for word in words[:count]])
    except ValueError:
        raise InvalidFormat(
            f"line {number}: '{short(' '.join(words[: count + 1]))}' where {count} numbers are expected"
        ) from None


def _scale(row: Row) -> Floats:
    """One factor or three; one that is negative means the volume of the cell, Å³."""
    factors = list(takewhile(FACTOR.fullmatch, row[1]))
    three = len(factors) == 3
    if len(factors) > 1 and not three:
        raise InvalidFormat(
            f"line {row[0]}: '{short(' '.join(row[1]))}' are {len(factors)} scales of a cell; give one or "
            "three"
        )
    scale = _floats(row, 3 if three else 1)
    if not np.isfinite(scale).all() or (scale == 0).any() or (three and (scale < 0).any()):
        raise InvalidFormat(f"line {row[0]}: '{short(' '.join(row[1]))}' is no scale of a cell")
    return scale


def _to_volume(vectors: Floats, volume: float) -> float:
    """The factor that gives the cell this volume, Å³."""
    own = abs(np.linalg.det(vectors))
    if not (np.isfinite(own) and own > 0):
        raise InvalidFormat("lines 3 to 5: the lattice vectors span no volume")
    return float((volume / own) ** (1 / 3))


def _species(rows: Iterator[Row], comment: str) -> tuple[list[str], list[int]]:
    """Elements, and the number of atoms of each; in old files, the comment names the elements."""
    number, words = next(rows)
    names = comment.split()
    if not words[0].isdecimal():
        names, (number, words) = words, next(rows)
    counts = [int(word) for word in words if word.isascii() and word.isdecimal() and len(word) < 10]
    if len(counts) != len(words):
        raise InvalidFormat(f"line {number}: '{short(' '.join(words))}' are no numbers of atoms")
    matches = [SYMBOL.fullmatch(name) for name in names]
    symbols = [match[1] for match in matches if match]
    if len(symbols) != len(names) or len(symbols) != len(counts):
        raise InvalidFormat(
            f"line {number}: {len(counts)} numbers of atoms, but '{short(' '.join(names))}' names no "
            "elements for them; write their symbols in line 6"
        )
    return symbols, counts


def _fixed(rows: Sequence[Row]) -> Booleans:
    """(N,) atoms that may not move at all."""
    moves = []
    for atom, (number, words) in enumerate(rows):
        flags = {word.strip(".")[:1].upper() for word in words[3:6]}
        if len(words) < 6 or not flags <= {"T", "F"}:
            raise InvalidFormat(
                f"line {number}: three flags T or F are expected behind the position"
            )
        if len(flags) > 1:
            raise InvalidStructure(
                f"atom {atom}: selective dynamics fix some of its coordinates; an atom can only be "
                "fixed or free as a whole"
            )
        moves.append(flags == {"T"})
    return ~np.array(moves, dtype=bool)
