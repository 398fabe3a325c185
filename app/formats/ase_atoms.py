"""Structures from and to ASE's `Atoms`."""

from typing import TYPE_CHECKING

import numpy as np

from app.atoms.structure import Booleans, Structure
from app.errors import InvalidStructure
from app.formats.info_keys import read_charge, read_multiplicity

if TYPE_CHECKING:
    from ase import Atoms


def from_ase(atoms: "Atoms") -> Structure:
    """The structure of `atoms`; charge and multiplicity come from `atoms.info`, where they are
    given.

    Raises:
        InvalidStructure: as for `Structure`; a charge or multiplicity that is no whole number; or a
            constraint other than `FixAtoms`.
    """
    return Structure(
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=atoms.positions,
        cell=np.asarray(atoms.cell),
        pbc=np.asarray(atoms.pbc),
        charge=read_charge(atoms.info),
        multiplicity=read_multiplicity(atoms.info),
        fixed=_fixed(atoms),
    )


def _fixed(atoms: "Atoms") -> Booleans | None:
    """Atoms held by `FixAtoms`; other constraints cannot be kept and are refused."""
    if not atoms.constraints:
        return None
    from ase.constraints import FixAtoms

    fixed = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise InvalidStructure(
                f"constraint {type(constraint).__name__}: only whole atoms can be fixed (FixAtoms); remove the others"
            )
        fixed[constraint.index] = True
    return fixed


def to_ase(structure: Structure) -> "Atoms":
    """`Atoms` with the structure's charge and multiplicity in `info`, where they are not the
    default.
    """
    from ase import Atoms

    info = {}
    if structure.charge:
        info["charge"] = structure.charge
    if structure.multiplicity is not None:
        info["multiplicity"] = structure.multiplicity
    atoms = Atoms(
        structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc, info=info
    )
    if structure.fixed is not None:
        from ase.constraints import FixAtoms

        atoms.set_constraint(FixAtoms(mask=structure.fixed))  # type: ignore[no-untyped-call]
    return atoms
