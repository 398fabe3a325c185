"""Reader of npz files in the layouts of (revised) MD17 and MD22: molecules, one array a quantity."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidData
from app.training.data.config import Source
from app.training.data.frames import Geometry, LabelledFrame, Labels, labelled

NAMES = {
    "numbers": ("nuclear_charges", "z"),
    "positions": ("coords", "R"),
    "energy": ("energies", "E"),
    "forces": ("forces", "F"),
}
"""Names in the revised MD17 layout, and in the original one, which is MD22's, too."""
UNITS = {"e_unit": "energy_unit", "r_unit": "length_unit"}
"""Units that an npz may state, and their names in `frames`."""
Array = NDArray[np.generic]


def read_npz(source: Source, path: Path) -> Iterator[LabelledFrame]:
    """The frames of one npz file, which is held in memory as a whole.

    Raises:
        InvalidData: naming the file, or the frame.
    """
    arrays = _arrays(source, path)
    numbers, positions = arrays["numbers"], arrays["positions"]
    energies, forces = arrays.get("energy"), arrays.get("forces")
    info = {name: _text(arrays[key]) for key, name in UNITS.items() if key in arrays}
    count = len(positions)
    many = np.broadcast_to(numbers, (count, *numbers.shape)) if numbers.ndim == 1 else numbers
    sizes = {"positions": count}
    sizes |= {name: len(arrays[name]) for name in ("energy", "forces") if name in arrays}
    sizes["numbers"] = len(many)
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{size} of {name}" for name, size in sizes.items())
        raise InvalidData(f"{source.path}: numbers of frames differ: {listed}")
    for index in range(count)[source.frames]:
        geometry = Geometry(
            many[index], positions[index], np.zeros((3, 3)), np.zeros(3, dtype=bool)
        )
        labels = (None if values is None else values[index] for values in (energies, forces))
        yield labelled(geometry, Labels(*labels), source, index, dict(info))


def _arrays(source: Source, path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            present = set(file.files)
            if "lattice" in present:
                raise InvalidData(
                    f"{source.path}: has a lattice; npz files hold molecules here, write it as extXYZ"
                )
            wanted = [name for name in NAMES if not _lacks(name, source, present)]
            names = {name: _name(name, source, present) for name in wanted}
            arrays = {name: file[key] for name, key in names.items()}
            arrays |= {key: file[key] for key in UNITS if key in present}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidData(f"{source.path}: cannot be read: {error}") from error
    if "energy" in arrays and arrays["energy"].ndim == 2 and arrays["energy"].shape[1] == 1:
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


def _lacks(name: str, source: Source, present: set[str]) -> bool:
    """Whether something is not there, and need not be."""
    may = {"forces": source.lacks_forces, "energy": source.lacks_energy}.get(name, False)
    return may and getattr(source.keys, name) is None and not present & set(NAMES[name])


def _name(name: str, source: Source, present: set[str]) -> str:
    chosen = getattr(source.keys, name)
    candidates = (chosen,) if chosen is not None else NAMES[name]
    for candidate in candidates:
        if candidate in present:
            return str(candidate)
    raise InvalidData(
        f"{source.path}: no array {' or '.join(candidates)} for {name}; it has: {', '.join(sorted(present))}"
    )
