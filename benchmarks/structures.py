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
    for seed, atoms in enumerate(copies):
        atoms.positions += np.random.default_rng(seed).normal(0, 0.05, (len(atoms), 3))
    return copies


def silicon(repeats: int) -> Atoms:
    """Diamond silicon, 8 `repeats`³ atoms, displaced by 0.05 Å."""
    crystal = bulk("Si", "diamond", a=5.43, cubic=True) * (repeats, repeats, repeats)
    crystal.positions += np.random.default_rng(0).normal(0, 0.05, (len(crystal), 3))
    return crystal
