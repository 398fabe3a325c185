"""Labelled frames: structures with reference energies, forces and, where there is one, stress, all
checked.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from app.atoms.structure import Floats, Structure
from app.errors import InvalidData, InvalidStructure
from app.formats.stated import stated
from app.training.data.config import Source, Units
from app.training.data.units import ENERGY, LENGTH, STRESS, TABLES

LARGEST_STRESS = 10.0
"""eV/Å³ (1600 GPa); a larger one is in another unit, not a material."""
VOIGT = np.array(((0, 5, 4), (5, 1, 3), (4, 3, 2)))
"""Where the components of a (3, 3) tensor stand in Voigt's order xx, yy, zz, yz, xz, xy."""
STATED = {
    "energy": "energy",
    "forces": "force",
    "force": "force",
    "stress": "stress",
    "length": "length",
}
"""Quantities whose unit a frame may state, as `energy_unit=eV`."""


class Geometry(NamedTuple):
    """What a file says about a frame's atoms, lengths in the file's unit.

    Attributes:
        numbers: (N,) atomic numbers.
        positions: (N, 3).
        cell: (3, 3), rows are lattice vectors.
        pbc: (3,).
    """

    numbers: ArrayLike
    positions: ArrayLike
    cell: ArrayLike
    pbc: ArrayLike


class Labels(NamedTuple):
    """What a file says about a frame's energy and derivatives, in its own units; None where it says
    nothing.
    """

    energy: object = None
    forces: object = None
    stress: object = None


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    """A structure with its labels.

    Attributes:
        structure: the atoms.
        energy: eV, total; NaN where there is no label.
        forces: (N, 3), eV/Å; NaN where there is no label.
        stress: (3, 3), eV/Å³, positive under tension; None where the structure is not bulk or has
            no label.
        file: the file that it comes from, as the config names it.
        index: its number in that file, from 0.
        info: the other values of its comment line.
        weight: how many times its errors count in the loss.
    """

    structure: Structure
    energy: float
    forces: Floats
    stress: Floats | None
    file: str
    index: int
    info: dict[str, object] = field(default_factory=dict)
    weight: float = 1.0

    @property
    def has_forces(self) -> bool:
        """Whether its forces are labelled."""
        return bool(np.isfinite(self.forces).all())

    @property
    def origin(self) -> str:
        """File and number, for messages."""
        return f"{self.file}, frame {self.index}"


def labelled(
    geometry: Geometry, labels: Labels, source: Source, index: int, info: dict[str, object]
) -> LabelledFrame:
    """One checked frame, in eV and Å.

    Args:
        geometry: lengths in the file's unit.
        labels: in the file's units.
        source: the file, with those units, and what may be missing.
        index: number of the frame in the file.
        info: what else the file says about it.

    Raises:
        InvalidData: naming file, frame and what is wrong.
    """
    origin, unit = f"{source.path}, frame {index}", source.label_units
    _check_stated_units(info, unit, origin)
    structure = _structure(geometry, LENGTH[unit.length], info, origin)
    if labels.energy is None and labels.forces is None and source.lacks_energy:
        raise InvalidData(f"{origin}: no energy and no forces")
    energy, forces = np.full((), np.nan), np.full((len(structure), 3), np.nan)
    if labels.energy is not None or not source.lacks_energy:
        energy = ENERGY[unit.energy] * _label(labels.energy, "energy", (), origin)
    if labels.forces is not None or not source.lacks_forces:
        forces = unit.force_factor * _label(labels.forces, "forces", (len(structure), 3), origin)
    stress = None
    if labels.stress is not None and structure.is_bulk:
        stress = _stress(labels.stress, unit, origin)
    return LabelledFrame(
        structure, float(energy), forces, stress, source.path, index, info, source.weight
    )


def _structure(
    geometry: Geometry, length: float, info: dict[str, object], origin: str
) -> Structure:
    try:
        charge, multiplicity, unit = stated(info)
        numbers, pbc = np.asarray(geometry.numbers), np.asarray(geometry.pbc, dtype=bool)
        structure = Structure(
            numbers,
            length * np.asarray(geometry.positions),
            length * np.asarray(geometry.cell),
            pbc,
            charge or 0,
        )
    except InvalidStructure as error:
        raise InvalidData(f"{origin}: {error}") from error
    if unit != 1.0 and not np.isclose(unit, length, rtol=1e-6):
        raise InvalidData(
            f"{origin}: its comment line states a unit of length of {unit:.6g} Å, but the config reads "
            f"one of {length:.6g} Å; set units of the source"
        )
    if multiplicity not in (None, 1):
        raise InvalidData(
            f"{origin}: multiplicity {multiplicity}; models know closed shells only, leave this "
            "frame out"
        )
    return structure


def _label(value: object, name: str, shape: tuple[int, ...], origin: str) -> Floats:
    if value is None:
        remedy = " (or set missing_forces of the source)" if name == "forces" else ""
        raise InvalidData(f"{origin}: no {name}; each frame needs an energy and forces{remedy}")
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidData(f"{origin}: {name} is {value!r}, which is no number") from None
    if array.shape != shape and not (shape == () and array.size == 1):
        raise InvalidData(f"{origin}: {name} has shape {array.shape}; expected {shape}")
    if not np.isfinite(array).all():
        rule = "; all atoms have one, or the frame has none" if name == "forces" else ""
        raise InvalidData(f"{origin}: {name} holds {array[~np.isfinite(array)].flat[0]}{rule}")
    return array.reshape(shape)


def _stress(value: object, unit: Units, origin: str) -> Floats:
    size = np.size(np.asarray(value, dtype=object))
    if size == 6:
        full = _label(np.ravel(np.asarray(value)), "stress", (6,), origin)[VOIGT]
    else:
        array = np.asarray(value)
        full = _label(array.reshape(3, 3) if size == 9 else array, "stress", (3, 3), origin)
    full = full * STRESS[unit.stress]
    largest = float(np.abs(full).max())
    if largest > LARGEST_STRESS:
        raise InvalidData(
            f"{origin}: a stress of {largest:.3g} eV/Å³; it cannot be in {unit.stress}, set units.stress of the source"
        )
    symmetric: Floats = 0.5 * (full + full.T)
    return symmetric


def _check_stated_units(info: dict[str, object], unit: Units, origin: str) -> None:
    expected = {
        "energy": ENERGY[unit.energy],
        "length": LENGTH[unit.length],
        "force": unit.force_factor,
        "stress": STRESS[unit.stress],
    }
    for name, quantity in STATED.items():
        for key in {f"{name}_unit", f"{name}_units"} & info.keys():
            stated = TABLES[quantity].get(str(info[key]))
            if stated is None:
                known = ", ".join(TABLES[quantity])
                raise InvalidData(
                    f"{origin}: {key} is '{info[key]}', an unknown unit of {quantity}; known: {known}"
                )
            if not np.isclose(stated, expected[quantity], rtol=1e-6):
                raise InvalidData(
                    f"{origin}: {key} is '{info[key]}', but the config reads another unit of {quantity}; "
                    "set units of the source"
                )
