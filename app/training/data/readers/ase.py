"""Readers of labelled files: extXYZ and whatever else ASE reads, and the (r)MD17 and MD22 npz
layouts.

All give one frame at a time; npz files are held in memory as a whole.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError
from numpy.typing import NDArray

from app.errors import InvalidData
from app.training.data.config import Keys, Source
from app.training.data.frames import Geometry, LabelledFrame, Labels, labelled
from app.training.data.readers.database import read_database
from app.training.data.readers.deepmd import read_deepmd
from app.training.data.readers.qm9 import read_qm9

NPZ_NAMES = {
    "numbers": ("nuclear_charges", "z"),
    "positions": ("coords", "R"),
    "energy": ("energies", "E"),
    "forces": ("forces", "F"),
}
"""Names in the revised MD17 layout, and in the original one, which is MD22's, too."""
NPZ_UNITS = {"e_unit": "energy_unit", "r_unit": "length_unit"}
"""Units that an npz may state, and their names in `frames`."""
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
Array = NDArray[np.generic]


def read(source: Source, path: Path, leave_out: Path | None = None) -> Iterator[LabelledFrame]:
    """The frames of one file or folder, one after the other, checked, in eV and Å.

    Args:
        source: how it is read.
        path: where it is.
        leave_out: the file that `source.leave_out` names.

    Raises:
        InvalidData: naming file and frame.
    """
    if source.kind == "qm9":
        return read_qm9(source, path, leave_out)
    readers = {"npz": _read_npz, "deepmd": read_deepmd, "db": read_database, "lmdb": read_database}
    return readers.get(source.kind, _read_ase)(source, path)


def _read_ase(source: Source, path: Path) -> Iterator[LabelledFrame]:
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
        for place in (results, atoms.arrays, atoms.info):
            if key in place:
                value: object = place[key]
                return value
        return None

    return Labels(
        find(keys.energy or "energy"), find(keys.forces or "forces"), find(keys.stress or "stress")
    )


def _read_npz(source: Source, path: Path) -> Iterator[LabelledFrame]:
    arrays = _npz_arrays(source, path)
    numbers, positions, energies = (arrays[name] for name in ("numbers", "positions", "energy"))
    forces = arrays.get("forces")
    info = {name: _text(arrays[key]) for key, name in NPZ_UNITS.items() if key in arrays}
    count = len(positions)
    many = np.broadcast_to(numbers, (count, *numbers.shape)) if numbers.ndim == 1 else numbers
    sizes = {"positions": count, "energy": len(energies)}
    if forces is not None:
        sizes["forces"] = len(forces)
    sizes["numbers"] = len(many)
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{size} of {name}" for name, size in sizes.items())
        raise InvalidData(f"{source.path}: numbers of frames differ: {listed}")
    for index in range(count)[source.frames]:
        geometry = Geometry(
            many[index], positions[index], np.zeros((3, 3)), np.zeros(3, dtype=bool)
        )
        labels = Labels(energies[index], None if forces is None else forces[index])
        yield labelled(geometry, labels, source, index, dict(info))


def _npz_arrays(source: Source, path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            present = set(file.files)
            if "lattice" in present:
                raise InvalidData(
                    f"{source.path}: has a lattice; npz files hold molecules here, write it as extXYZ"
                )
            wanted = [
                name for name in NPZ_NAMES if name != "forces" or not _lacks_forces(source, present)
            ]
            names = {name: _npz_name(name, source, present) for name in wanted}
            arrays = {name: file[key] for name, key in names.items()}
            arrays |= {key: file[key] for key in NPZ_UNITS if key in present}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidData(f"{source.path}: cannot be read: {error}") from error
    if arrays["energy"].ndim == 2 and arrays["energy"].shape[1] == 1:
        arrays["energy"] = arrays["energy"][:, 0]
    for name, dimensions in (("positions", 3), ("energy", 1), ("forces", 3)):
        if name in arrays and arrays[name].ndim != dimensions:
            raise InvalidData(
                f"{source.path}: {names[name]} has shape {arrays[name].shape}, not one entry a frame"
            )
    return arrays


def _text(value: Array) -> str:
    """A word that some versions of Python have stored as bytes."""
    word = value.item()
    return word.decode() if isinstance(word, bytes) else str(word)


def _lacks_forces(source: Source, present: set[str]) -> bool:
    usual = source.keys.forces is None and not present & set(NPZ_NAMES["forces"])
    return source.missing_forces and usual


def _npz_name(name: str, source: Source, present: set[str]) -> str:
    chosen = getattr(source.keys, name)
    candidates = (chosen,) if chosen is not None else NPZ_NAMES[name]
    for candidate in candidates:
        if candidate in present:
            return str(candidate)
    raise InvalidData(
        f"{source.path}: no array {' or '.join(candidates)} for {name}; it has: {', '.join(sorted(present))}"
    )
