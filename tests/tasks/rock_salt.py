"""Magnesium oxide as ions: Buckingham's potential and damped, shifted Coulomb forces."""

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from scipy.special import erfc

from app.atoms.structure import Floats

COULOMB = 14.399645
"""e²/4πε0, eV Å."""
DAMPING, CUTOFF = 0.3, 7.0
"""Å⁻¹ and Å, of C. J. Fennell, J. D. Gezelter, J. Chem. Phys. 124, 234104 (2006)."""
MIXED, OXYGEN = (1428.5, 0.2945), (22764.3, 0.149, 27.88)
"""A in eV and ρ in Å; the same and C in eV Å⁶, of G. V. Lewis, C. R. A. Catlow, J. Phys. C 18, 1149 (1985)."""


class RockSalt(Calculator):
    """Mg²⁺ and O²⁻, by pairs within `CUTOFF`."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = None,
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        i, j, r, shift = neighbor_list("ijdD", self.atoms, CUTOFF)
        is_oxygen = self.atoms.numbers == 8
        energies, slopes = pairs(r, is_oxygen[i], is_oxygen[j])
        pulls = slopes[:, None] * shift / r[:, None]
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, i, pulls)
        stress = 0.5 * np.einsum("ka,kb->ab", pulls, shift) / self.atoms.get_volume()
        self.results = {
            "energy": 0.5 * energies.sum(),
            "forces": forces,
            "stress": stress.ravel()[[0, 4, 8, 5, 2, 1]],
        }


def pairs(r: Floats, first: Any, second: Any) -> tuple[Floats, Floats]:
    """(K,) eV and (K,) eV/Å, energies of pairs and their slopes, of distances (K,) Å between what is oxygen."""
    charges = COULOMB * np.where(first == second, 4.0, -4.0)
    (edge, slope), mixed, both = coulomb(np.array(CUTOFF)), first != second, first & second
    energy, change = coulomb(r)
    energies = charges * (energy - edge - slope * (r - CUTOFF))
    slopes = charges * (change - slope)
    for where, (a, rho) in ((mixed, MIXED), (both, OXYGEN[:2])):
        born = np.where(where, a * np.exp(-r / rho), 0.0)
        energies, slopes = energies + born, slopes - born / rho
    c = OXYGEN[2] * both
    energies -= c * (r**-6 - CUTOFF**-6 + 6 * CUTOFF**-7 * (r - CUTOFF))
    slopes -= c * (6 * CUTOFF**-7 - 6 * r**-7)
    return energies, slopes


def coulomb(r: Floats) -> tuple[Floats, Floats]:
    """erfc(αr)/r and its slope, at distances in Å."""
    screened = erfc(DAMPING * r) / r
    bell = 2 * DAMPING / np.sqrt(np.pi) * np.exp(-((DAMPING * r) ** 2))
    return screened, -(screened + bell) / r
