"""Reader of DeePMD's folders: `type.raw`, `type_map.raw` and
`set.*/{coord,box,energy,force,virial}.npy`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers

from app.atoms.structure import Floats, Integers
from app.errors import InvalidData
from app.training.data.config import Source
from app.training.data.frames import Geometry, LabelledFrame, Labels, labelled
from app.training.data.units import ENERGY, LENGTH, STRESS


class Set(NamedTuple):
    """The F frames of one `set.*` folder, in the file's units; None where there is no such file.

    Attributes:
        coord: (F, N, 3).
        box: (F, 3, 3), rows are lattice vectors.
        energy: (F,).
        force: (F, N, 3).
        virial: (F, 3, 3), in the unit of energy, −dE/dstrain.
    """

    coord: Floats
    box: Floats | None
    energy: Floats | None
    force: Floats | None
    virial: Floats | None


def read_deepmd(source: Source, folder: Path) -> Iterator[LabelledFrame]:
    """The frames of all sets, in the order of the sets' names; the arrays stay on disk.

    Raises:
        InvalidData: naming the file, or the frame.
    """
    numbers = _numbers(source, folder)
    sets = [_read_set(source, part, len(numbers)) for part in sorted(folder.glob("set.*"))]
    frames = [(part, row) for part in sets for row in range(len(part.coord))]
    periodic = not (folder / "nopbc").exists()
    for index in range(len(frames))[source.frames]:
        part, row = frames[index]
        if periodic and part.box is None:
            raise InvalidData(
                f"{source.path}, frame {index}: no box.npy, and no file nopbc says that there is no box"
            )
        cell = part.box[row] if periodic and part.box is not None else np.zeros((3, 3))
        geometry = Geometry(numbers, part.coord[row], cell, np.full(3, periodic))
        energy, force = (
            None if values is None else values[row] for values in (part.energy, part.force)
        )
        stress = (
            None if part.virial is None or not periodic else _stress(source, part.virial[row], cell)
        )
        yield labelled(geometry, Labels(energy, force, stress), source, index, {})


def _stress(source: Source, virial: Floats, cell: Floats) -> Floats:
    """(3, 3), in the source's unit of stress: −virial / volume."""
    unit = source.label_units
    volume = abs(float(np.linalg.det(LENGTH[unit.length] * cell))) or np.nan
    stress: Floats = -ENERGY[unit.energy] * virial / volume / STRESS[unit.stress]
    return stress


def _numbers(source: Source, folder: Path) -> Integers:
    names, kinds = (_words(source, folder / name) for name in ("type_map.raw", "type.raw"))
    strange = [name for name in names if atomic_numbers.get(name, 0) < 1]
    if strange:
        raise InvalidData(f"{source.path}/type_map.raw: {strange[0]} is no chemical symbol")
    wrong = [kind for kind in kinds if not kind.isdecimal() or int(kind) >= len(names)]
    if wrong:
        raise InvalidData(
            f"{source.path}/type.raw: {wrong[0]} is no position in a type map of {len(names)}"
        )
    return np.array([atomic_numbers[names[int(kind)]] for kind in kinds], dtype=np.int64)


def _words(source: Source, path: Path) -> list[str]:
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidData(f"{source.path}/{path.name}: cannot be read: {error}") from error
    if not words:
        raise InvalidData(f"{source.path}/{path.name}: is empty")
    return words


def _read_set(source: Source, part: Path, atoms: int) -> Set:
    if (part / "real_atom_types.npy").exists():
        raise InvalidData(
            f"{source.path}/{part.name}: frames of mixed types; write one folder for each composition"
        )
    shapes = {
        "coord": (atoms, 3),
        "box": (3, 3),
        "energy": (),
        "force": (atoms, 3),
        "virial": (3, 3),
    }
    arrays = {name: _array(source, part / f"{name}.npy", shape) for name, shape in shapes.items()}
    coord = arrays.pop("coord")
    if coord is None:
        raise InvalidData(f"{source.path}/{part.name}/coord.npy: is not there")
    for name, values in arrays.items():
        if values is not None and len(values) != len(coord):
            raise InvalidData(
                f"{source.path}/{part.name}: {len(coord)} frames of coord, {len(values)} of {name}"
            )
    return Set(coord, **arrays)


def _array(source: Source, path: Path, shape: tuple[int, ...]) -> Floats | None:
    if not path.exists():
        return None
    name = f"{source.path}/{path.parent.name}/{path.name}"
    try:
        values = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise InvalidData(f"{name}: cannot be read: {error}") from error
    if values.dtype.kind not in "fiu":
        raise InvalidData(f"{name}: cannot be read: holds {values.dtype}, not numbers")
    size = int(np.prod(shape))
    if values.size != len(np.atleast_1d(values)) * size:
        raise InvalidData(f"{name}: has shape {values.shape}; expected {size} numbers a frame")
    return values.reshape(-1, *shape)
