"""Structures from and to ASE's `Atoms`."""

from typing import TYPE_CHECKING

import numpy as np

from app.errors import InvalidStructure
from app.structure import Structure

if TYPE_CHECKING:
    from ase import Atoms

CHARGE_KEYS = ("charge", "total_charge")
MULTIPLICITY_KEYS = ("multiplicity", "spin_multiplicity")


def from_ase(atoms: "Atoms") -> Structure:
    """The structure of `atoms`; charge and multiplicity come from `atoms.info`, where they are given.

    Raises:
        InvalidStructure: as for `Structure`; or a charge or multiplicity that is no whole number.
    """
    multiplicity = _whole(atoms, MULTIPLICITY_KEYS)
    return Structure(
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=atoms.positions,
        cell=np.asarray(atoms.cell),
        pbc=np.asarray(atoms.pbc),
        charge=_whole(atoms, CHARGE_KEYS) or 0,
        multiplicity=multiplicity,
    )


def to_ase(structure: Structure) -> "Atoms":
    """`Atoms` with the structure's charge and multiplicity in `info`, where they are not the default."""
    from ase import Atoms

    info = {}
    if structure.charge:
        info["charge"] = structure.charge
    if structure.multiplicity is not None:
        info["multiplicity"] = structure.multiplicity
    return Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc, info=info)


def _whole(atoms: "Atoms", keys: tuple[str, ...]) -> int | None:
    for key in keys:
        value = atoms.info.get(key)
        if value is None:
            continue
        if not float(value).is_integer():
            raise InvalidStructure(f"{key}: {value}; expected a whole number")
        return int(value)
    return None
