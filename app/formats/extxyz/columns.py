"""The columns of an extXYZ frame, as `Properties` states them."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from app.errors import InvalidFormat
from app.formats.text import short

MOST = 10_000
"""Columns that a frame may have."""
USAGE = "write name:type:columns for each, such as species:S:1:pos:R:3"


class _Kind(NamedTuple):
    """What a column means, and the types and width that it may have; None for any width."""

    meaning: str
    types: str
    width: int | None


KINDS = {
    "species": _Kind("species", "S", 1),
    "symbols": _Kind("species", "S", 1),
    "z": _Kind("Z", "I", 1),
    "numbers": _Kind("Z", "I", 1),
    "pos": _Kind("pos", "R", 3),
    "positions": _Kind("pos", "R", 3),
    "move_mask": _Kind("moves", "L", None),
    "initial_charges": _Kind("charges", "RI", 1),
    "formal_charge": _Kind("charges", "RI", 1),
    "formal_charges": _Kind("charges", "RI", 1),
    "charge": _Kind("partial", "RI", 1),
    "charges": _Kind("partial", "RI", 1),
    "mass": _Kind("masses", "RI", 1),
    "masses": _Kind("masses", "RI", 1),
    "occupancy": _Kind("occupancy", "RI", 1),
    "occupancies": _Kind("occupancy", "RI", 1),
    "initial_magmoms": _Kind("moments", "RI", None),
    "magmom": _Kind("calculated", "RI", None),
    "magmoms": _Kind("calculated", "RI", None),
    "spin": _Kind("spins", "RI", None),
    "spins": _Kind("spins", "RI", None),
}
"""Columns that make a structure, by their names in lower case; some names are ASE's."""
LONGEST_NAME = max(map(len, KINDS))
REMEMBERED = 200
"""Characters of the longest text whose columns are kept for the next frame."""
NONE = range(0)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the columns stand that make a structure, and how many there are in all.

    Attributes:
        species: of symbols; one column, or none.
        Z: of atomic numbers; one column, or none.
        pos: three columns.
        moves: whether the atom may move; none, one or three columns.
        charges: of charges that sum up to the total one.
        partial: of charges that a calculation gave.
        moments: of magnetic moments.
        calculated: of magnetic moments that a calculation gave.
        spins: of magnetic moments under the name of spins.
        occupancy: share of the sites that have the atom.
        masses: of the atoms; one column, or none.
        width: number of columns.
        exact: whether the rows must have that many.
    """

    species: range = NONE
    Z: range = NONE
    pos: range = NONE
    moves: range = NONE
    charges: range = NONE
    partial: range = NONE
    moments: range = NONE
    calculated: range = NONE
    spins: range = NONE
    occupancy: range = NONE
    masses: range = NONE
    width: int = 0
    exact: bool = True


PLAIN_COLUMNS = Columns(species=range(1), pos=range(1, 4), width=4, exact=False)
"""Those of plain XYZ; what stands to the right of them is skipped."""


def read_columns(properties: str) -> Columns:
    """The columns that `Properties` states.

    Raises:
        InvalidFormat: a column that is none, too many, or none of the elements or positions.
    """
    return _remembered(properties) if len(properties) <= REMEMBERED else _read(properties)


@lru_cache(maxsize=256)
def _remembered(properties: str) -> Columns:
    return _read(properties)


def _read(properties: str) -> Columns:
    fields = properties.split(":", 3 * MOST)
    ranges: dict[str, range] = {}
    width = 0
    for name, kind, count in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        shown = short(f"{name}:{kind}:{count}")
        known = KINDS.get(name.lower()) if len(name) <= LONGEST_NAME else None
        size = int(count) if count.isascii() and count.isdecimal() and len(count) < 16 else 0
        if not (size and kind in _types(known) and _fits(known, size)):
            raise InvalidFormat(f"Properties: '{shown}' is no valid column; {USAGE}")
        if known and known.meaning in ranges:
            raise InvalidFormat(f"Properties: '{shown}' is there twice; leave one out")
        if known:
            ranges[known.meaning] = range(width, width + size)
        width += size
        if width > MOST:
            raise InvalidFormat(f"Properties: more than {MOST} columns with '{shown}'")
    if len(fields) % 3 or "pos" not in ranges or not ("species" in ranges or "Z" in ranges):
        raise InvalidFormat(f"Properties: '{short(properties)}' describes no structure; {USAGE}")
    return Columns(**ranges, width=width, exact=True)


def _types(known: _Kind | None) -> tuple[str, ...]:
    return tuple(known.types if known else "SRIL")


def _fits(known: _Kind | None, size: int) -> bool:
    return known is None or known.width in (None, size)
