"""Values of extXYZ: numbers, flags, cells."""

import numpy as np

from app.atoms.structure import Booleans, Floats, Integers
from app.errors import InvalidFormat
from app.formats.cell_words import USAGE
from app.formats.text import short

FLAGS = {
    word: flag
    for flag, words in ((True, "T True TRUE true t 1"), (False, "F False FALSE false f 0"))
    for word in words.split()
}
BRACKETS = str.maketrans(",[]{}", "     ")


def number(word: str) -> float | None:
    """A decimal number, also with Fortran's exponent, as in 1.5D-3."""
    try:
        return None if "_" in word else float(word.upper().replace("D", "E"))
    except ValueError:
        return None


def whole_numbers(values: Floats) -> Integers:
    """Atomic numbers; those that are not whole or far out of range become 0, which is no element."""
    return np.where((values % 1 == 0) & (np.abs(values) < 1000), values, 0.0).astype(np.int64)


def read_lattice(text: str) -> Floats:
    """(3, 3) Å, rows are lattice vectors: nine numbers, or nested lists that are symmetric.

    Raises:
        InvalidFormat: they are not; names value and remedy.
    """
    values = [number(word) for word in text.translate(BRACKETS).split()]
    if len(values) != 9 or None in values:
        raise InvalidFormat(f'Lattice="{short(text)}" is not nine numbers; {USAGE}')
    cell = np.array(values, dtype=np.float64).reshape(3, 3)
    if "[" in text and not np.array_equal(cell, cell.T, equal_nan=True):
        raise InvalidFormat(
            f"Lattice={short(text)}: whether vectors are rows is not clear; {USAGE}"
        )
    return cell


def read_pbc(text: str) -> Booleans:
    """(3,) flags, of which one may stand for all.

    Raises:
        InvalidFormat: they are none; names value and remedy.
    """
    flags = [FLAGS.get(word) for word in text.translate(BRACKETS).split()]
    if len(flags) not in (1, 3) or None in flags:
        raise InvalidFormat(f'pbc="{short(text)}" is not one or three flags; write pbc="T T F"')
    return np.broadcast_to(np.array(flags, dtype=bool), 3)
