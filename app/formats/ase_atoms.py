"""Structures from and to ASE's `Atoms`."""

import re
from typing import TYPE_CHECKING

import numpy as np

from app.atoms.structure import Booleans, Structure
from app.errors import InvalidStructure
from app.formats.atom_states import multiplicity_of, total_charge
from app.formats.cell_words import other_cell
from app.formats.stated import Stated, stated

if TYPE_CHECKING:
    from ase import Atoms

DIGIT = re.compile(r"\d")


def from_ase(atoms: "Atoms") -> Structure:
    """The structure of `atoms`.

    Charge and multiplicity come from `atoms.info`, where they are given, else from the initial
    charges and magnetic moments of the atoms.

    Raises:
        InvalidStructure: as for `Structure`; a charge or multiplicity that is no whole number;
            sites that are occupied in part; a cell in `info` alone; or a constraint other than
            `FixAtoms`.
    """
    _refuse_partial(atoms)
    _refuse_other_cell(atoms)
    state = state_of(atoms)
    return Structure(
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=atoms.positions,
        cell=np.asarray(atoms.cell),
        pbc=np.asarray(atoms.pbc),
        charge=state.charge or 0,
        multiplicity=state.multiplicity,
        fixed=_fixed(atoms),
    )


def state_of(atoms: "Atoms") -> Stated:
    """Charge and multiplicity that `atoms` state, in `info` or as initial values of the atoms.

    Raises:
        InvalidStructure: they are no whole numbers, contradict each other, or come with a unit of
            length, which is Å for ASE.
    """
    said = stated({str(key): value for key, value in atoms.info.items()})
    if said.length != 1.0:
        raise InvalidStructure("info names a unit of length other than Å, which is ASE's; convert")
    charge, multiplicity = said.charge, said.multiplicity
    if charge is None and atoms.has("initial_charges"):
        charge = total_charge(atoms.get_initial_charges())
    if multiplicity is None and atoms.has("initial_magmoms"):
        multiplicity = multiplicity_of(atoms.get_initial_magnetic_moments())
    return Stated(charge, multiplicity)


def _refuse_partial(atoms: "Atoms") -> None:
    """Refuse sites that ASE's readers take for full ones, though the file says otherwise."""
    occupancy = atoms.info.get("occupancy")
    for site, species in occupancy.items() if isinstance(occupancy, dict) else ():
        for symbol, share in species.items() if isinstance(species, dict) else ():
            if share < 1:
                raise InvalidStructure(
                    f"site {site}: {symbol} with an occupancy of {share}; make a structure of whole "
                    "atoms first"
                )


def _refuse_other_cell(atoms: "Atoms") -> None:
    """Refuse a cell that was read as a remark, as from `cell="9 9 9"` on a comment line."""
    if atoms.cell.any():
        return
    told = {str(key): str(value) for key, value in atoms.info.items()}
    if name := other_cell({key: value for key, value in told.items() if DIGIT.search(value)}, ""):
        raise InvalidStructure(
            f"info['{name}'] gives a cell, and the atoms have none; set atoms.cell and atoms.pbc, or "
            "leave it out"
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

        atoms.set_constraint(FixAtoms(mask=structure.fixed))
    return atoms
