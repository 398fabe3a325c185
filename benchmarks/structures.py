"""The structures that the benchmarks evaluate, the same numbers in every environment."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import bulk

from app.bench.aspirin import ASPIRIN

ELEMENTS = ("H", "C", "N", "O", "Si")
"""Of a model that knows all of them."""


def systems(aspirins: Sequence[int], silicon: Sequence[int]) -> dict[str, list[Atoms]]:
    """What inference is timed on.

    Args:
        aspirins: molecules of each batch; one alone is not distorted.
        silicon: repeats of the cubic cell of each crystal.
    """
    molecules = {f"{n} aspirin{'s' * (n > 1)}": rattled_aspirins(n) for n in aspirins}
    crystals = {f"{8 * n**3}-atom silicon": [silicon_crystal(n)] for n in silicon}
    alone = {"1 aspirin": [aspirin()]} if 1 in aspirins else {}
    return molecules | alone | crystals


def aspirin() -> Atoms:
    """One aspirin, 21 atoms."""
    symbols, *coordinates = zip(*ASPIRIN, strict=True)
    return Atoms(list(symbols), np.array(coordinates).T)


def rattled_aspirins(count: int) -> list[Atoms]:
    """Aspirins whose coordinates are displaced by 0.05 Å, each in its own way."""
    return [_rattled(aspirin(), seed) for seed in range(count)]


def silicon_crystal(repeats: int) -> Atoms:
    """Diamond silicon, 8 `repeats`³ atoms, displaced by 0.05 Å."""
    return _rattled(bulk("Si", "diamond", a=5.43, cubic=True) * (repeats, repeats, repeats), 0)


def _rattled(atoms: Atoms, seed: int) -> Atoms:
    atoms.positions += np.random.default_rng(seed).normal(0, 0.05, (len(atoms), 3))
    return atoms
