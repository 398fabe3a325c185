"""Distorted geometries of one molecule: conformers, a GFN2-xTB relaxation, harmonic thermal
samples.
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.data import covalent_radii
from ase.optimize import BFGS
from molecules import Molecule
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import AllChem
from tblite.ase import TBLite

Array = NDArray[np.float64]

CONFORMERS = 3
TEMPERATURES = (300.0, 600.0, 1000.0, 1000.0)  # K, one sample each
SUBSTITUTE = 600.0  # K, of the sample that takes the place of a conformer like an earlier one
# Å, largest difference between the sorted distances of two conformers that count as one
ALIKE = 0.02
SOFTEST = 150.0  # 1/cm, softer modes (and imaginary ones) count as this
LARGEST_SHIFT = 0.3  # Å, of any atom along one mode
STEP = 0.01  # Å, of the finite differences
FMAX = 0.05  # eV/Å, where a relaxation ends
STEPS = 200
SHORTEST = 0.6  # Å, between any two atoms
ATTEMPTS = 20
SCALES = (0.93, 1.1)  # of the strained frame


class Skipped(Exception):
    """A molecule, or a frame of it, that the recipe leaves out; the message says why."""


@dataclass(frozen=True)
class Bonds:
    """The bonding graph of a molecule.

    Attributes:
        bonded: (N, N) | whether two atoms are bonded.
        radii: (N, N) | Å | sum of the covalent radii.
    """

    bonded: NDArray[np.bool_]
    radii: Array

    def hold(self, positions: Array) -> bool:
        """Whether all bonds, and no others, are there: bonds to 1.4 radii, other pairs from 1.1
        radii on.
        """
        distances = np.linalg.norm(positions[:, None] - positions, axis=2)
        np.fill_diagonal(distances, np.inf)
        if distances.min(initial=np.inf) < SHORTEST:
            return False
        other = ~self.bonded
        return bool(
            (distances[self.bonded] < 1.4 * self.radii[self.bonded]).all()
            and (distances[other] > 1.1 * self.radii[other]).all()
        )


def sample(molecule: Molecule) -> tuple[list[int], list[tuple[str, Array]]]:
    """Atomic numbers of a molecule and its geometries: kind and positions (N, 3) in Å.

    Raises:
        Skipped: no conformer, no convergence, or a relaxation that makes or breaks a bond.
    """
    rng = np.random.default_rng(int(molecule.rank * 2**48))
    chemical, bonds = embed(molecule.smiles)
    frames = [("conformer", positions) for positions in conformers(chemical)]
    numbers = [atom.GetAtomicNum() for atom in chemical.GetAtoms()]
    atoms = Atoms(numbers, frames[0][1], calculator=TBLite(method="GFN2-xTB", verbosity=0))
    frames += relaxation(atoms)
    if not bonds.hold(atoms.positions):
        raise Skipped("the relaxation makes or breaks a bond")
    modes = Modes.at_minimum(atoms)
    temperatures = [*TEMPERATURES, *[SUBSTITUTE] * (CONFORMERS + 2 - len(frames))]
    frames += [(f"{t:.0f} K", modes.draw(t, rng, bonds)) for t in temperatures]
    frames.append(("strained", modes.draw(TEMPERATURES[0], rng, bonds, rng.uniform(*SCALES))))
    return numbers, [(kind, positions - positions.mean(axis=0)) for kind, positions in frames]


def embed(smiles: str) -> tuple[Chem.Mol, Bonds]:
    """ETKDG conformers, hydrogens included, and the bonding graph."""
    chemical = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if not AllChem.EmbedMultipleConfs(chemical, numConfs=CONFORMERS, randomSeed=7, clearConfs=True):
        raise Skipped("no conformer could be embedded")
    radii = covalent_radii[[atom.GetAtomicNum() for atom in chemical.GetAtoms()]]
    bonded = Chem.GetAdjacencyMatrix(chemical).astype(bool)
    return chemical, Bonds(bonded, radii[:, None] + radii)


def conformers(chemical: Chem.Mol) -> list[Array]:
    """Two conformers relaxed with MMFF94 (where it has parameters) and one as ETKDG made it,
    without repeats.
    """
    raw = np.array(list(chemical.GetConformers())[-1].GetPositions())
    if AllChem.MMFFHasAllMoleculeParams(chemical):
        AllChem.MMFFOptimizeMoleculeConfs(chemical, maxIters=500)
    relaxed = [
        np.array(conformer.GetPositions()) for conformer in list(chemical.GetConformers())[:2]
    ]
    found: list[Array] = []
    for positions in [*relaxed, raw]:
        if not any(_alike(positions, other) for other in found):
            found.append(positions)
    return found


def _alike(one: Array, other: Array) -> bool:
    """Whether two conformers are the same up to a rotation, a reflection and the order of equal
    atoms.
    """
    distances = [np.sort(np.linalg.norm(x[:, None] - x, axis=2), axis=None) for x in (one, other)]
    return bool(np.abs(distances[0] - distances[1]).max() < ALIKE)


def relaxation(atoms: Atoms) -> list[tuple[str, Array]]:
    """Relax in place; one frame a quarter of the energy above the minimum, and the minimum."""
    path: list[tuple[float, Array]] = []
    optimizer = BFGS(atoms, logfile=None, maxstep=0.15)
    optimizer.attach(lambda: path.append((atoms.get_potential_energy(), atoms.positions.copy())))
    if not optimizer.run(fmax=FMAX, steps=STEPS):
        raise Skipped(f"the relaxation did not reach {FMAX} eV/Å in {STEPS} steps")
    energies = np.array([energy for energy, _ in path])
    target = energies[-1] + 0.25 * (energies[0] - energies[-1])
    between = path[int(np.abs(energies - target).argmin())][1]
    return [("path", between), ("minimum", atoms.positions.copy())]


@dataclass(frozen=True)
class Modes:
    """Normal modes of a molecule at a minimum of its energy.

    Attributes:
        minimum: (N, 3) | Å | positions.
        shifts: (M, N, 3) | Å (amu)^1/2 | mass-weighted modes over the roots of the masses.
        stiffness: (M,) | eV/(Å² amu) | eigenvalues of the mass-weighted Hessian, not softer than
            `SOFTEST`.
    """

    minimum: Array
    shifts: Array
    stiffness: Array

    @classmethod
    def at_minimum(cls, atoms: Atoms) -> "Modes":
        """Modes from a forward-difference Hessian, translations and rotations projected out."""
        roots = np.repeat(np.sqrt(atoms.get_masses()), 3)
        basis = vibrations(atoms.positions, roots)
        weighted = basis.T @ (hessian(atoms) / np.outer(roots, roots)) @ basis
        values, vectors = np.linalg.eigh(weighted)
        shifts = (basis @ vectors).T / roots
        softest = (2 * np.pi * 100 * SOFTEST * units._c / units.second) ** 2
        stiffness = np.maximum(np.abs(values), softest)
        return cls(atoms.positions.copy(), shifts.reshape(len(values), -1, 3), stiffness)

    def draw(
        self, temperature: float, rng: np.random.Generator, bonds: Bonds, scale: float = 1.0
    ) -> Array:
        """Positions (N, 3) in Å from the classical harmonic Boltzmann distribution at a temperature
        in K.

        The minimum is scaled first. Frames in which the bonding graph changes are drawn again.
        """
        deviation = np.sqrt(units.kB * temperature / self.stiffness)
        for _ in range(ATTEMPTS):
            moved = (rng.normal(size=len(deviation)) * deviation)[:, None, None] * self.shifts
            largest = np.linalg.norm(moved, axis=2).max(axis=1)[:, None, None]
            moved *= np.minimum(1.0, LARGEST_SHIFT / np.maximum(largest, 1e-12))
            positions = scale * self.minimum + moved.sum(axis=0)
            if bonds.hold(positions):
                return positions
        raise Skipped(f"no intact geometry at {temperature:.0f} K in {ATTEMPTS} attempts")


def hessian(atoms: Atoms) -> Array:
    """(3N, 3N) second derivatives in eV/Å², from forward differences of the forces, made symmetric."""
    minimum, forces = atoms.positions.copy(), atoms.get_forces().ravel()
    rows = []
    for index in range(minimum.size):
        moved = minimum.copy()
        moved.flat[index] += STEP
        atoms.positions = moved
        rows.append((forces - atoms.get_forces().ravel()) / STEP)
    atoms.positions = minimum
    matrix = np.array(rows)
    return (matrix + matrix.T) / 2


def vibrations(positions: Array, roots: Array) -> Array:
    """Orthonormal mass-weighted displacements (3N, M) that are neither translations nor rotations."""
    weights = roots[::3] ** 2
    centred = positions - weights @ positions / weights.sum()
    rigid = [np.broadcast_to(axis, centred.shape) for axis in np.eye(3)]
    rigid += [np.cross(axis, centred) for axis in np.eye(3)]
    weighted = np.array([motion.ravel() * roots for motion in rigid]).T
    left, values, _ = np.linalg.svd(weighted)
    return np.asarray(left[:, (values > 1e-3 * values.max()).sum() :])
