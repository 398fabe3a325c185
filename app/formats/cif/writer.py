"""Write CIF: a data block for each record, with all atoms of its cell in P 1."""

import re
from collections.abc import Iterator

import numpy as np

from app.atoms.structure import Floats, Structure
from app.formats.record import Record

PREFIX = "_equipot_"
"""How names begin that no dictionary of CIF has."""
LONGEST_NAME = 60
BARE = re.compile(r"[A-Za-z0-9+.(/@-][A-Za-z0-9+.:()/@_%-]*")
"""Values that need no quotes."""
WORDS = re.compile(r"(?i)(data_|loop_|save_|global_|stop_)")


def misfit(structure: Structure) -> str | None:
    """Why a structure cannot be written, or None."""
    if structure.is_bulk or not structure.cell.any():
        return None
    return (
        "a CIF holds what is periodic in all three directions, or molecules without a cell; ask for "
        "xyz or json"
    )


class CifWriter:
    """A data block for each record; one that is no structure lists no atoms.

    Lattice vectors become lengths and angles, so that their directions in space are lost: forces
    and stresses, which have directions, are not written.
    """

    def __init__(self) -> None:
        self._number = 0

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def add(self, record: Record) -> bytes:
        """See `app.formats.record.Writer`."""
        lines = [f"data_{_block_name(record.id, self._number)}"]
        self._number += 1
        lines += [f"{PREFIX}{key} {_quoted(_text(value))}" for key, value in _items(record)]
        if record.kept:
            lines += ["loop_", f"{PREFIX}remark_name", f"{PREFIX}remark_text"]
            lines += [f"{_quoted(key)} {_quoted(_text(v))}" for key, v in record.kept.items()]
        if record.structure is not None:
            lines += _atoms(record.structure)
        return ("\n".join(lines) + "\n\n").encode()

    def end(self) -> bytes:
        """Nothing."""
        return b""


def _items(record: Record) -> Iterator[tuple[str, object]]:
    """What is said of the block as a whole, besides remarks."""
    if record.id is not None:
        yield "id", record.id
    if (structure := record.structure) is not None:
        if structure.charge:
            yield "charge", structure.charge
        if structure.multiplicity is not None:
            yield "multiplicity", structure.multiplicity
        if structure.fixed is not None:
            yield "fixed", " ".join(map(str, np.flatnonzero(structure.fixed)))
    for key in ("energy", "energy_std"):
        if (value := record.values.get(key)) is not None:
            yield key, value
    yield from record.answer.items()


def _atoms(structure: Structure) -> Iterator[str]:
    kind, points = "Cartn", structure.positions
    if structure.is_bulk:
        kind = "fract"
        cell = structure.cell * (1.0 if np.linalg.det(structure.cell) > 0 else -1.0)
        points = structure.positions @ np.linalg.inv(cell)  # of -cell: the mirror image is none
        yield from _cell(cell)
    yield "loop_"
    columns = ("label", "type_symbol", *(f"{kind}_{axis}" for axis in "xyz"), "occupancy")
    yield from (f"_atom_site_{column}" for column in columns)
    counts: dict[str, int] = {}
    for symbol, point in zip(structure.symbols, points.tolist(), strict=True):
        counts[symbol] = counts.get(symbol, 0) + 1
        yield f"{symbol}{counts[symbol]} {symbol} {' '.join(map(repr, point))} 1"


def _cell(cell: Floats) -> Iterator[str]:
    lengths = np.linalg.norm(cell, axis=1)
    units = cell / lengths[:, None]
    angles = [_angle(units[i], units[j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    for axis, length in zip("abc", lengths.tolist(), strict=True):
        yield f"_cell_length_{axis} {length!r}"
    for name, angle in zip(("alpha", "beta", "gamma"), angles, strict=True):
        yield f"_cell_angle_{name} {angle!r}"
    yield "_space_group_name_H-M_alt 'P 1'"
    yield "_space_group_IT_number 1"
    yield from ("loop_", "_space_group_symop_operation_xyz", "'x, y, z'")


def _angle(one: Floats, other: Floats) -> float:
    """Degrees between unit vectors, precise for small angles, too; exactly 90 for right ones."""
    if one @ other == 0.0:
        return 90.0
    sine, cosine = np.linalg.norm(one - other), np.linalg.norm(one + other)
    return float(np.degrees(2.0 * np.arctan2(sine, cosine)))


def _block_name(name: str | None, number: int) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.+-]+", "_", name or "")[:LONGEST_NAME]
    return plain or f"structure_{number}"


def _text(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)


def _quoted(text: str) -> str:
    """A value as a word, in quotes, or as lines between semicolons."""
    if BARE.fullmatch(text) and not WORDS.match(text):
        return text
    for quote in "'\"":
        if not {quote, "\n", "\r"}.intersection(text):
            return f"{quote}{text}{quote}"
    lines = [f" {line}" if line.startswith(";") else line for line in text.splitlines()]
    return "\n;" + "\n".join(lines) + "\n;"
