"""GFN2-xTB, the reference: single points and minima of closed-shell molecules."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.optimize import LBFGS
from numpy.typing import NDArray
from tblite.ase import TBLite

Array = NDArray[np.float64]

FMAX = 0.01  # eV/Å, where a minimum is reached
STEPS = 1000


@dataclass(frozen=True)
class Minimum:
    """Where a relaxation with GFN2-xTB ended.

    Attributes:
        positions: (N, 3), Å.
        energy: eV.
        start_energy: eV, of the geometry that it began from.
        steps: of the optimiser.
        converged: whether no force is longer than what was asked for.
    """

    positions: Array
    energy: float
    start_energy: float
    steps: int
    converged: bool


def single_point(numbers: list[int], positions: Array, charge: int) -> tuple[float, Array]:
    """Energy in eV and forces (N, 3) in eV/Å.

    Raises:
        CalculationFailed: the charges do not converge.
    """
    atoms = _atoms(numbers, positions, charge)
    forces = np.array(atoms.get_forces())
    return float(atoms.get_potential_energy()), forces


def minimum(numbers: list[int], positions: Array, charge: int, fmax: float = FMAX) -> Minimum:
    """The minimum that ASE's L-BFGS finds from a geometry; `fmax`, in eV/Å, is where it ends.

    Raises:
        CalculationFailed: the charges do not converge.
    """
    atoms = _atoms(numbers, positions, charge)
    start = float(atoms.get_potential_energy())
    optimizer = LBFGS(atoms, logfile=None)
    converged = bool(optimizer.run(fmax=fmax, steps=STEPS))
    energy = float(atoms.get_potential_energy())
    return Minimum(atoms.positions.copy(), energy, start, int(optimizer.nsteps), converged)


def calculator(charge: int) -> TBLite:
    """ASE's calculator of GFN2-xTB for a total charge."""
    return TBLite(method="GFN2-xTB", charge=float(charge), multiplicity=1, verbosity=0)


def _atoms(numbers: list[int], positions: Array, charge: int) -> Atoms:
    return Atoms(numbers, positions, calculator=calculator(charge))
