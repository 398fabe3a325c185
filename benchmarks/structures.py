"""The structures that every benchmark evaluates: the same numbers on every machine, in every environment."""

import numpy as np
from ase import Atoms
from ase.build import bulk

ELEMENTS = ("H", "C", "N", "O", "Si")
"""Of a model that knows all of them."""

ASPIRIN = (
    ("C", 3.4038, 0.5543, -0.0406),
    ("C", 2.0439, 0.1391, 0.4355),
    ("O", 1.6894, 0.1441, 1.6074),
    ("O", 1.2884, -0.2659, -0.6593),
    ("C", -0.0284, -0.5847, -0.3147),
    ("C", -0.3282, -1.9424, -0.1631),
    ("C", -1.6290, -2.3304, 0.1520),
    ("C", -2.6259, -1.3671, 0.3025),
    ("C", -2.3267, -0.0114, 0.1315),
    ("C", -1.0220, 0.3968, -0.1871),
    ("C", -0.7032, 1.8334, -0.3988),
    ("O", 0.3609, 2.3052, -0.7547),
    ("O", -1.7563, 2.6373, -0.1549),
    ("H", 3.9239, -0.3054, -0.4698),
    ("H", 3.9844, 0.9300, 0.8068),
    ("H", 3.3109, 1.3562, -0.7774),
    ("H", 0.4490, -2.6922, -0.2815),
    ("H", -1.8659, -3.3836, 0.2824),
    ("H", -3.6405, -1.6701, 0.5512),
    ("H", -3.1244, 0.7190, 0.2471),
    ("H", -1.4037, 3.5378, -0.3146),
)
"""Å; RDKit's ETKDG conformer of CC(=O)Oc1ccccc1C(=O)O, relaxed with MMFF94."""


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
    """An alkane CnH2n+2 stretched out; where the atoms do not add up, oxygens stand between its first carbons."""
    carbons, oxygens = divmod(n_atoms - 2, 3)
    heavy = ["C", *["O"] * oxygens, *["C"] * (carbons - 1)]
    last = len(heavy) - 1
    at = [(1.27 * n, 0.43 * (-1) ** n, 0.0) for n in range(len(heavy))]
    hydrogens = [
        (x, y + 0.63 * (-1) ** n, z) for n, (x, y, _) in enumerate(at) if heavy[n] == "C" for z in (0.89, -0.89)
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
    """Silicon and oxygen in turn on a simple cubic lattice, 0.072 atoms/Å³, periodic, displaced by 0.05 Å."""
    sites = np.array(list(np.ndindex(*repeats)))
    symbols = ["Si" if site.sum() % 2 else "O" for site in sites]
    return _rattled(Atoms(symbols, 2.4 * sites, cell=2.4 * np.array(repeats), pbc=True), seed)


def _rattled(atoms: Atoms, seed: int) -> Atoms:
    atoms.positions += np.random.default_rng(seed).normal(0, 0.05, (len(atoms), 3))
    return atoms
