"""Structures from and to ASE's `Atoms`."""

from typing import TYPE_CHECKING

import numpy as np

from app.formats.keys import read_charge, read_multiplicity
from app.structure import Structure

if TYPE_CHECKING:
    from ase import Atoms


def from_ase(atoms: "Atoms") -> Structure:
    """The structure of `atoms`; charge and multiplicity come from `atoms.info`, where they are given.

    Raises:
        InvalidStructure: as for `Structure`; or a charge or multiplicity that is no whole number.
    """
    return Structure(
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=atoms.positions,
        cell=np.asarray(atoms.cell),
        pbc=np.asarray(atoms.pbc),
        charge=read_charge(atoms.info),
        multiplicity=read_multiplicity(atoms.info),
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
