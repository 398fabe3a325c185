"""Torsion profiles: a bond turned in steps, all else rigid, energies of each step."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from recipes.measures import gfn2
from recipes.measures.cache import Record
from recipes.measures.molecules import Molecule

Array = NDArray[np.float64]

BONDS = 50
STEP = 15  # degrees
LARGEST = 60  # atoms
END = "[!#1;!$(*#*);$(*(~[!#1])~[!#1])]"
ROTATABLE = Chem.MolFromSmarts(f"{END}-&!@{END}")


@dataclass(frozen=True)
class Torsion:
    """A bond of a molecule that is turned.

    Attributes:
        molecule: that has it.
        atoms: four in a row; the bond is between the second and the third.
    """

    molecule: Molecule
    atoms: tuple[int, int, int, int]

    @property
    def key(self) -> str:
        """The record's name in the cache."""
        return f"{self.molecule.name} {'-'.join(map(str, self.atoms))}"

    def geometries(self, start: Array) -> list[Array]:
        """(N, 3) in Å, of a whole turn in steps; the first one is `start`, (N, 3)."""
        chemical = Chem.Mol(self.molecule.chemical)
        conformer = chemical.GetConformer()
        conformer.SetPositions(np.array(start))
        first = rdMolTransforms.GetDihedralDeg(conformer, *self.atoms)
        turned = []
        for angle in range(0, 360, STEP):
            rdMolTransforms.SetDihedralDeg(conformer, *self.atoms, first + angle)
            turned.append(np.array(conformer.GetPositions()))
        return turned


def choose(molecules: list[Molecule]) -> Iterator[Torsion]:
    """One rotatable bond between heavy atoms of each molecule that has any, up to `BONDS`."""
    chosen = 0
    for molecule in molecules:
        bonds = [] if len(molecule.numbers) > LARGEST else rotatable(molecule.chemical)
        if bonds and chosen < BONDS:
            chosen += 1
            second, third = bonds[int(molecule.rank, 16) % len(bonds)]
            ends = (_neighbor(molecule.chemical, *pair) for pair in ((second, third), (third, second)))
            first, fourth = ends
            yield Torsion(molecule, (first, second, third, fourth))


def rotatable(chemical: Chem.Mol) -> list[tuple[int, int]]:
    """Single bonds in no ring whose ends have other heavy atoms, and no triple bond."""
    return [tuple(pair) for pair in chemical.GetSubstructMatches(ROTATABLE)]


def _neighbor(chemical: Chem.Mol, atom: int, other: int) -> int:
    """The first heavy neighbour of an atom that is not the other one."""
    for neighbor in chemical.GetAtomWithIdx(atom).GetNeighbors():
        if neighbor.GetAtomicNum() > 1 and neighbor.GetIdx() != other:
            return int(neighbor.GetIdx())
    raise AssertionError("the pattern asks for another heavy neighbour")


def reference(torsion: Torsion, minimum: Record) -> Record:
    """Energies in eV of GFN2-xTB, turning its own minimum."""
    molecule, start = torsion.molecule, np.array(minimum["minimum"])
    energies = [
        gfn2.single_point(molecule.numbers, positions, molecule.charge)[0]
        for positions in torsion.geometries(start)
    ]
    return {"start": start.tolist(), "energies": energies}
