"""The structures that every benchmark evaluates: the same numbers on every machine, in every
environment.
"""

import numpy as np
from ase import Atoms
from ase.build import bulk

from app.bench.aspirin import ASPIRIN

ELEMENTS = ("H", "C", "N", "O", "Si")
"""Of a model that knows all of them."""


def systems() -> dict[str, list[Atoms]]:
    """What inference is timed on: a molecule, a batch of its distorted copies, a crystal."""
    return {
        "1 aspirin": [aspirin()],
        "64 aspirins": rattled_aspirins(64),
        "1000-atom silicon": [silicon(5)],
    }


def aspirin() -> Atoms:
    """One aspirin, 21 atoms."""
    symbols, *coordinates = zip(*ASPIRIN, strict=True)
    return Atoms(list(symbols), np.array(coordinates).T)


def rattled_aspirins(count: int) -> list[Atoms]:
    """Aspirins whose coordinates are displaced by 0.05 Å, each in its own way."""
    copies = [aspirin() for _ in range(count)]
    return [_rattled(atoms, seed) for seed, atoms in enumerate(copies)]


def silicon(repeats: int) -> Atoms:
    """Diamond silicon, 8 `repeats`³ atoms, displaced by 0.05 Å."""
    return _rattled(bulk("Si", "diamond", a=5.43, cubic=True) * (repeats, repeats, repeats), 0)


def chain(n_atoms: int, seed: int = 0) -> Atoms:
    """An alkane CnH2n+2 stretched out; where the atoms do not add up, oxygens stand between its
    first carbons.
    """
    carbons, oxygens = divmod(n_atoms - 2, 3)
    heavy = ["C", *["O"] * oxygens, *["C"] * (carbons - 1)]
    last = len(heavy) - 1
    at = [(1.27 * n, 0.43 * (-1) ** n, 0.0) for n in range(len(heavy))]
    hydrogens = [
        (x, y + 0.63 * (-1) ** n, z)
        for n, (x, y, _) in enumerate(at)
        if heavy[n] == "C"
        for z in (0.89, -0.89)
    ]
    ends = [(-0.9, -0.2, 0.0), (1.27 * last + 0.9, -0.2 * (-1) ** last, 0.0)]
    symbols = heavy + ["H"] * (len(hydrogens) + len(ends))
    return _rattled(Atoms(symbols, np.array(at + hydrogens + ends)), seed)


def strands(seed: int = 0) -> Atoms:
    """Two chains of 30 atoms side by side: 60 atoms, with some 21 neighbours each within 5 Å."""
    one, other = chain(30, seed), chain(30, seed + 1000)
    other.positions[:, 2] += 4.8
    return one + other


def solid(repeats: tuple[int, int, int], seed: int = 0) -> Atoms:
    """Silicon and oxygen in turn on a simple cubic lattice, 0.072 atoms/Å³, periodic, displaced by
    0.05 Å.
    """
    sites = np.array(list(np.ndindex(*repeats)))
    symbols = ["Si" if site.sum() % 2 else "O" for site in sites]
    return _rattled(Atoms(symbols, 2.4 * sites, cell=2.4 * np.array(repeats), pbc=True), seed)


def _rattled(atoms: Atoms, seed: int) -> Atoms:
    atoms.positions += np.random.default_rng(seed).normal(0, 0.05, (len(atoms), 3))
    return atoms
