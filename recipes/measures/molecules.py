"""Molecules of an SDF file, with the chemistry that RDKit reads from it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, RDLogger

from app.atoms.structure import Structure

Array = NDArray[np.float64]

CHARGES = {
    ("N", 4): 1,
    ("N", 2): -1,
    ("O", 1): -1,
    ("O", 3): 1,
    ("S", 1): -1,
    ("S", 3): 1,
    ("P", 4): 1,
    ("C", 3): -1,
    ("F", 0): -1,
    ("Cl", 0): -1,
    ("Br", 0): -1,
    ("I", 0): -1,
}
"""Formal charge of an atom by the sum of its bond orders, where it is none of the neutral ones."""


@dataclass(frozen=True)
class Molecule:
    """One molecule.

    Attributes:
        name: of it in its file.
        chemical: RDKit's molecule, hydrogens included, with one conformer.
        stated: the charge that the file states.
    """

    name: str
    chemical: Chem.Mol
    stated: int

    @property
    def numbers(self) -> list[int]:
        """(N,) atomic numbers."""
        return [atom.GetAtomicNum() for atom in self.chemical.GetAtoms()]

    @property
    def positions(self) -> Array:
        """(N, 3), Å."""
        return np.array(self.chemical.GetConformer().GetPositions())

    @property
    def charge(self) -> int:
        """The sum of the atoms' formal charges."""
        return int(Chem.GetFormalCharge(self.chemical))

    @property
    def structure(self) -> Structure:
        """What a model is asked about."""
        return structure_of(self.numbers, self.positions, self.charge)

    @property
    def rank(self) -> str:
        """Orders molecules the same way everywhere, and not as the file does."""
        return hashlib.sha256(self.name.encode()).hexdigest()


def structure_of(numbers: list[int], positions: Array, charge: int) -> Structure:
    """A molecule in vacuum."""
    return Structure(np.array(numbers, dtype=np.int64), np.array(positions), charge=charge)


def group_of(molecule: Molecule) -> str:
    """What kind of molecule it is, by charge and elements."""
    symbols = {atom.GetSymbol() for atom in molecule.chemical.GetAtoms()}
    if molecule.charge:
        return "charged"
    if symbols <= set("HCNO"):
        return "H C N O"
    return "with Br or I" if symbols & {"Br", "I"} else "with F P S Cl"


def read_molecules(path: Path) -> list[Molecule]:
    """All molecules of an SDF file, in its order.

    Formal charges that the file leaves out, of a nitro group or of a deprotonated acid, follow from
    the bonds.

    Raises:
        SystemExit: a record that is no molecule, or that has an odd number of electrons all the same.
    """
    RDLogger.DisableLog("rdApp.*")
    return list(_read(path))


def _read(path: Path) -> Iterator[Molecule]:
    records = Chem.SDMolSupplier(str(path), removeHs=False, sanitize=False)
    for index, chemical in enumerate(records):
        if chemical is None:
            raise SystemExit(f"{path}, record {index}: RDKit cannot read it")
        name, stated = chemical.GetProp("_Name"), Chem.GetFormalCharge(chemical)
        complete_charges(chemical)
        try:
            Chem.SanitizeMol(chemical)
            Chem.AssignStereochemistryFrom3D(chemical)
        except Chem.MolSanitizeException as error:
            raise SystemExit(f"{path}, {name}: {error}") from error
        molecule = Molecule(name, chemical, stated)
        if (sum(molecule.numbers) - molecule.charge) % 2:
            raise SystemExit(
                f"{path}, {name}: an odd number of electrons with charge {molecule.charge}"
            )
        yield molecule


def complete_charges(chemical: Chem.Mol) -> None:
    """Give atoms that have none the formal charge that follows from their bonds (`CHARGES`)."""
    for atom in chemical.GetAtoms():
        if atom.GetFormalCharge() == 0:
            orders = round(sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds()))
            atom.SetFormalCharge(CHARGES.get((atom.GetSymbol(), orders), 0))
            atom.SetNoImplicit(True)
