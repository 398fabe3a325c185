"""Crystals away from their minima: supercells of simple lattices, strained and displaced."""

import numpy as np
from ase import Atoms
from ase.build import bulk

METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
"""Of which ASE's EMT has parameters."""


def metals(
    count: int, strain: float = 0.05, displacement: float = 0.1, seed: int = 0
) -> list[Atoms]:
    """So many crystals and alloys of metals, each of four to eight atoms.

    Args:
        count: of crystals.
        strain: standard deviation of the components of the cell's change.
        displacement: Å, standard deviation of the atoms' coordinates.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    crystals = []
    for number in range(count):
        atoms = bulk(METALS[number % len(METALS)], cubic=True) * (1 + number % 2, 1, 1)
        symbols = rng.choice(METALS, len(atoms))
        if number % 3 == 0:
            atoms.symbols[:] = symbols
        crystals.append(perturbed(atoms, strain, displacement, rng))
    return crystals


def perturbed(atoms: Atoms, strain: float, displacement: float, rng: np.random.Generator) -> Atoms:
    """The crystal with its cell strained, and its atoms displaced (Å)."""
    moved = atoms.copy()
    change = np.eye(3) + rng.normal(0, strain, (3, 3))
    moved.set_cell(np.array(atoms.cell) @ change, scale_atoms=True)
    moved.positions += rng.normal(0, displacement, moved.positions.shape)
    return moved
