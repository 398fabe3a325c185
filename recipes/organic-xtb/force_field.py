"""Molecules in three dimensions by a force field: conformers, minima, and normal modes at them.

MMFF94 where it has parameters, UFF elsewhere, and springs for the few molecules that neither knows,
such as SF6. A Hessian by differences of its gradient takes
milliseconds, which is why geometries come from it rather than from the method that labels them.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import units
from ase.data import atomic_masses, covalent_radii
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

Array = NDArray[np.float64]

KCAL = units.kcal / units.mol  # eV
SOFTEST = 100.0  # 1/cm, softer modes (and imaginary ones) count as this
LARGEST_SHIFT = 0.35  # Å, of any atom along one mode
STEP = 0.005  # Å, of the finite differences
BOND, ANGLE = 20.0, 3.0  # eV/Å², springs
ATTEMPTS = 12
SHORTEST, LONGEST, CLOSEST = 0.65, 1.5, 1.0
"""Of the sum of covalent radii, in what is drawn: bonds, and atoms that are not bonded."""
STEPS = 400  # of a minimisation
EMBED_LIMIT = 30  # s, for all conformers


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

    @classmethod
    def of(cls, chemical: Chem.Mol) -> "Bonds":
        """Of a molecule with all its hydrogens."""
        radii = covalent_radii[[atom.GetAtomicNum() for atom in chemical.GetAtoms()]]
        return cls(Chem.GetAdjacencyMatrix(chemical).astype(bool), radii[:, None] + radii)

    def ratios(self, positions: Array) -> Array:
        """(N, N) distances in units of the sum of covalent radii, infinite on the diagonal."""
        distances = np.linalg.norm(positions[:, None] - positions, axis=2)
        np.fill_diagonal(distances, np.inf)
        return np.asarray(distances / self.radii)

    def hold(self, positions: Array) -> bool:
        """Whether no atoms clash and no bond is broken or very short."""
        ratios = self.ratios(positions)
        lengths, others = ratios[self.bonded], ratios[~self.bonded]
        intact = (lengths > SHORTEST).all() and (lengths < LONGEST).all()
        return bool(intact and others.min(initial=np.inf) > CLOSEST)


@dataclass(frozen=True)
class Modes:
    """Normal modes of a molecule at some positions.

    Attributes:
        minimum: (N, 3) | Å | positions.
        shifts: (M, N, 3) | amu^-1/2 | mass-weighted modes over the roots of the masses.
        stiffness: (M,) | eV/(Å² amu) | eigenvalues of the mass-weighted Hessian, not softer than
            `SOFTEST`.
    """

    minimum: Array
    shifts: Array
    stiffness: Array

    @classmethod
    def of(cls, hessian: Array, positions: Array, numbers: list[int]) -> "Modes":
        """From a Hessian (3N, 3N) in eV/Å², translations and rotations projected out."""
        roots = np.repeat(np.sqrt(atomic_masses[numbers]), 3)
        basis = vibrations(positions, roots)
        values, vectors = np.linalg.eigh(basis.T @ (hessian / np.outer(roots, roots)) @ basis)
        shifts = (basis @ vectors).T / roots
        softest = (2 * np.pi * 100 * SOFTEST * units._c / units.second) ** 2
        stiffness = np.maximum(np.abs(values), softest)
        return cls(positions, shifts.reshape(len(values), len(numbers), 3), stiffness)

    def at(self, positions: Array) -> "Modes":
        """The same modes at other positions (N, 3) in Å."""
        return replace(self, minimum=positions)

    def draw(self, temperature: float, rng: np.random.Generator, bonds: Bonds) -> Array:
        """Positions (N, 3) in Å from the classical harmonic Boltzmann distribution.

        Each mode has a normal amplitude of variance kT / stiffness. Geometries in which atoms clash
        or a bond breaks are drawn again.

        Args:
            temperature: K.

        Raises:
            Skipped: none of `ATTEMPTS` geometries is intact.
        """
        deviation = np.sqrt(units.kB * temperature / self.stiffness)
        for _ in range(ATTEMPTS):
            moved = (rng.normal(size=len(deviation)) * deviation)[:, None, None] * self.shifts
            largest = np.linalg.norm(moved, axis=2).max(axis=1, initial=0.0)[:, None, None]
            moved *= np.minimum(1.0, LARGEST_SHIFT / np.maximum(largest, 1e-12))
            positions = self.minimum + moved.sum(axis=0)
            if bonds.hold(positions):
                return np.asarray(positions)
        raise Skipped(f"no intact geometry in {ATTEMPTS} thermal samples")


class ForceField:
    """MMFF94, UFF or springs for one molecule with conformers.

    Attributes:
        chemical: the molecule with all its hydrogens.
        numbers: (N,) atomic numbers.
        bonds: its bonding graph.
        known: whether MMFF94 or UFF has parameters for it.
    """

    def __init__(self, chemical: Chem.Mol) -> None:
        self.chemical = chemical
        self.numbers = [atom.GetAtomicNum() for atom in chemical.GetAtoms()]
        self.bonds = Bonds.of(chemical)
        self._mmff = rdForceFieldHelpers.MMFFGetMoleculeProperties(chemical)
        self.known = self._mmff or rdForceFieldHelpers.UFFHasAllMoleculeParams(chemical)

    def positions(self, conformer: int) -> Array:
        """(N, 3) in Å."""
        return np.array(self.chemical.GetConformer(conformer).GetPositions())

    def minimise(self, conformer: int) -> Array:
        """Relax a conformer in place, as far as `STEPS` steps go; its positions (N, 3) in Å.

        A molecule without a force field stays as ETKDG made it.
        """
        if self.known:
            self._field(conformer).Minimize(maxIts=STEPS)
        return self.positions(conformer)

    def modes(self, positions: Array) -> Modes:
        """Normal modes from central differences of the gradient."""
        if not self.known:
            return Modes.of(springs(positions, self.bonds), positions, self.numbers)
        field, size = self._field(0), positions.size
        rows = np.zeros((size, size))
        for index in range(size):
            for sign in (1, -1):
                moved = positions.ravel().copy()
                moved[index] += sign * STEP
                # computing the energy makes RDKit forget distances that its gradient would reuse
                field.CalcEnergy(moved.tolist())
                rows[index] += sign * np.array(field.CalcGrad(moved.tolist()))
        hessian = KCAL * (rows + rows.T) / (4 * STEP)
        return Modes.of(hessian, positions, self.numbers)

    def _field(self, conformer: int) -> Any:
        if self._mmff is not None:
            field = rdForceFieldHelpers.MMFFGetMoleculeForceField(
                self.chemical, self._mmff, confId=conformer
            )
        else:
            field = rdForceFieldHelpers.UFFGetMoleculeForceField(self.chemical, confId=conformer)
        field.Initialize()
        return field


def embed(smiles: str, count: int, seed: int = 7) -> Chem.Mol:
    """A molecule with all its hydrogens and up to `count` ETKDG conformers.

    Raises:
        Skipped: no conformer could be embedded.
    """
    chemical = Chem.AddHs(Chem.MolFromSmiles(smiles))
    options = rdDistGeom.ETKDGv3()
    options.randomSeed, options.clearConfs, options.timeout = seed, True, EMBED_LIMIT
    for random_start in (False, True):
        options.useRandomCoords = random_start
        if len(rdDistGeom.EmbedMultipleConfs(chemical, count, options)):
            return chemical
    raise Skipped("no conformer could be embedded")


def springs(positions: Array, bonds: Bonds) -> Array:
    """(3N, 3N) Hessian in eV/Å² of springs between bonded atoms and between their neighbours."""
    size = len(positions)
    bonded = bonds.bonded.astype(float)
    stiffness = BOND * bonded + ANGLE * ((bonded @ bonded > 0) & ~bonds.bonded)
    hessian = np.zeros((size, 3, size, 3))
    for i, j in np.argwhere(np.triu(stiffness, 1)):
        axis = positions[j] - positions[i]
        block = stiffness[i, j] * np.outer(axis, axis) / (axis @ axis)
        for first, second, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
            hessian[first, :, second] += sign * block
    return hessian.reshape(3 * size, 3 * size)


def vibrations(positions: Array, roots: Array) -> Array:
    """Orthonormal mass-weighted displacements (3N, M) that are neither translations nor rotations."""
    weights = roots[::3] ** 2
    centred = positions - weights @ positions / weights.sum()
    rigid = [np.broadcast_to(axis, centred.shape) for axis in np.eye(3)]
    rigid += [np.cross(axis, centred) for axis in np.eye(3)]
    weighted = np.array([motion.ravel() * roots for motion in rigid]).T
    left, values, _ = np.linalg.svd(weighted)
    return np.asarray(left[:, (values > 1e-3 * values.max()).sum() :])
