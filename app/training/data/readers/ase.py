"""Reader of extXYZ, and of whatever else ASE reads."""

from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError

from app.errors import InvalidData
from app.training.data.config import Keys, Source
from app.training.data.frames import Geometry, LabelledFrame, Labels, labelled

UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    UnknownFileTypeError,
)
"""What ASE's readers raise on files that they cannot read."""


def read_ase(source: Source, path: Path) -> Iterator[LabelledFrame]:
    """The frames of one file, one after the other.

    Raises:
        InvalidData: naming the file, or the frame.
    """
    for index, atoms in source.chosen(_atoms(source, path)):
        geometry = Geometry(atoms.numbers, atoms.positions, np.asarray(atoms.cell), atoms.pbc)
        info = {str(key): value for key, value in atoms.info.items()}
        yield labelled(geometry, _labels(atoms, source.keys), source, index, info)


def _atoms(source: Source, path: Path) -> Iterator[Atoms]:
    count = 0
    try:
        for atoms in ase.io.iread(
            path, index=":", format="extxyz" if source.kind == "extxyz" else None
        ):
            yield atoms
            count += 1
    except UNREADABLE as error:
        raise InvalidData(f"{source.path}: cannot be read after {count} frames: {error}") from error


def _labels(atoms: Atoms, keys: Keys) -> Labels:
    results = atoms.calc.results if atoms.calc is not None else {}

    def find(key: str) -> object:
        for values in (results, atoms.arrays, atoms.info):
            if key in values:
                value: object = values[key]
                return value
        return None

    return Labels(
        find(keys.energy or "energy"), find(keys.forces or "forces"), find(keys.stress or "stress")
    )
