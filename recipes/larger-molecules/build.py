"""Build the two molecules, relaxed with GFN2-xTB: two stacked adenine–thymine pairs, and
Ac-Ala3-NHMe.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write
from ase.optimize import BFGS
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import AllChem
from tblite.ase import TBLite

Array = NDArray[np.float64]

ADENINE = "Nc1ncnc2[nH]cnc12"
N6, C6, N1, C2 = 0, 1, 2, 3  # atoms of ADENINE, by their names in nucleic acids
THYMINE = "Cc1c[nH]c(=O)[nH]c1=O"
N3, O4 = 6, 8  # atoms of THYMINE
RING = (1, 2, 3, 4, 6, 7)  # of THYMINE
PEPTIDE = "CC(=O)N[C@@H](C)C(=O)N[C@@H](C)C(=O)N[C@@H](C)C(=O)NC"
N_TO_N, N_TO_O = 2.85, 2.95  # Å, N1···N3 and N6···O4
RISE, TWIST = 3.4, 36.0  # Å and degrees from one pair to the next, about those of B-DNA
CONFORMERS = 30
FMAX = 0.02  # eV/Å
STEPS = 1000


def main() -> None:
    """Write `<name>.xyz` of each molecule."""
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    for name, build in MOLECULES.items():
        atoms = relaxed(build())
        write(
            options.output / f"{name}.xyz", Atoms(atoms.numbers, atoms.positions), format="extxyz"
        )
        print(
            f"{name}: {atoms.get_chemical_formula()}, {len(atoms)} atoms, {atoms.get_potential_energy():.4f} eV"
        )


def two_pairs() -> Atoms:
    """A pair and, above it, the same pair turned: adenine lies over adenine."""
    lower = base_pair()
    upper = lower.copy()
    upper.translate([0.0, 0.0, RISE])
    upper.rotate(TWIST, "z")
    return lower + upper


def base_pair() -> Atoms:
    """A Watson–Crick pair of adenine and thymine in the plane z = 0, its hydrogen bonds about the
    origin.

    N1 of adenine points away from the middle of C2 and C6. On this line lie N3 of thymine and,
    beyond it, the centre of thymine's ring, so that the hydrogen of N3 points back at N1; O4 lies
    beside N6.
    """
    adenine, thymine = flat(ADENINE), flat(THYMINE)
    along = adenine.positions[N1] - adenine.positions[[C2, C6]].mean(axis=0)
    along /= np.linalg.norm(along)
    centre = thymine.positions[list(RING)].mean(axis=0)
    radius = np.linalg.norm(thymine.positions[N3] - centre)
    n1, n6 = adenine.positions[[N1, N6]]
    ideal = np.array([n1 + N_TO_N * along, n6 + N_TO_O * along, n1 + (N_TO_N + radius) * along])
    points = np.array([*thymine.positions[[N3, O4]], centre])
    thymine.positions = superposed(thymine.positions, points, ideal)
    pair = adenine + thymine
    pair.translate(-0.5 * (ideal[0] + n1))
    return pair


def flat(smiles: str) -> Atoms:
    """A planar molecule, turned into the plane z = 0."""
    (atoms,) = embedded(smiles, 1)
    heavy = atoms.positions[atoms.numbers > 1]
    axes = np.linalg.svd(heavy - heavy.mean(axis=0))[2]
    axes[2] *= np.sign(np.linalg.det(axes))
    atoms.positions = (atoms.positions - heavy.mean(axis=0)) @ axes.T
    return atoms


def superposed(positions: Array, points: Array, ideal: Array) -> Array:
    """Positions (N, 3) moved as the rotation and translation that bring points closest to ideal
    ones (Kabsch 1976).
    """
    shift = points.mean(axis=0)
    left, _, right = np.linalg.svd((points - shift).T @ (ideal - ideal.mean(axis=0)))
    left[:, 2] *= np.sign(np.linalg.det(left @ right))
    return np.asarray((positions - shift) @ left @ right + ideal.mean(axis=0))


def peptide() -> Atoms:
    """The conformer of Ac-Ala3-NHMe that is lowest in GFN2-xTB after MMFF94, of `CONFORMERS`."""
    return min(
        embedded(PEPTIDE, CONFORMERS),
        key=lambda atoms: float(with_xtb(atoms).get_potential_energy()),
    )


def embedded(smiles: str, count: int) -> list[Atoms]:
    """ETKDG conformers relaxed with MMFF94, hydrogens after the atoms of the SMILES."""
    chemical = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMultipleConfs(chemical, numConfs=count, randomSeed=7)
    AllChem.MMFFOptimizeMoleculeConfs(chemical, maxIters=2000)
    numbers = [atom.GetAtomicNum() for atom in chemical.GetAtoms()]
    return [Atoms(numbers, conformer.GetPositions()) for conformer in chemical.GetConformers()]


def relaxed(atoms: Atoms) -> Atoms:
    """The atoms at the minimum that BFGS finds."""
    if not BFGS(with_xtb(atoms), logfile=None, maxstep=0.1).run(fmax=FMAX, steps=STEPS):
        raise SystemExit(
            f"{atoms.get_chemical_formula()} did not reach {FMAX} eV/Å in {STEPS} steps"
        )
    atoms.translate(-atoms.get_center_of_mass())
    return atoms


def with_xtb(atoms: Atoms) -> Atoms:
    """The same atoms with GFN2-xTB as their calculator."""
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    return atoms


MOLECULES: dict[str, Callable[[], Atoms]] = {"at-at": two_pairs, "ac-ala3": peptide}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path("data/larger-molecules"), help="folder of the data"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
