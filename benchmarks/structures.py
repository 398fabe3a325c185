"""The structures that the benchmarks evaluate, the same numbers in every environment."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read

from app.bench.aspirin import ASPIRIN

ELEMENTS = ("H", "C", "N", "O", "Si")
"""Of a model that knows all of them."""
ARGON_LATTICE = 5.26
"""Å, edge of the cubic cell."""
METHANE_SPACING = 4.2
"""Å between methanes on a cubic lattice: as dense as the solid."""


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


def unit_cell(elements: Collection[str], path: Path | None = None) -> Atoms:
    """A periodic cell for a model: methane where it knows H and C, else argon.

    Args:
        elements: that the model knows.
        path: of a file with the cell of a crystal or a box, in their place.

    Raises:
        SystemExit: there is none for it, or the file holds none.
    """
    if path is not None:
        cell = read(path, index=0)
        assert isinstance(cell, Atoms)
        if not cell.pbc.all():
            raise SystemExit(
                f"{path}: pbc = {cell.pbc.tolist()}; a period in all directions is needed"
            )
        if unknown := sorted(set(cell.get_chemical_symbols()) - set(elements)):
            raise SystemExit(f"{path}: the model does not know {', '.join(unknown)}")
        return cell
    if {"H", "C"} <= set(elements):
        methane: Atoms = molecule("CH4", cell=[METHANE_SPACING] * 3, pbc=True)
        return methane
    if "Ar" in elements:
        return bulk("Ar", "fcc", a=ARGON_LATTICE, cubic=True)
    raise SystemExit(
        "neither methane nor argon can be made of what the model knows; name a file with a cell of "
        f"{', '.join(sorted(elements))} by --cell"
    )


def crystal(cell: Atoms, atoms: int, displaced: float = 0.05) -> Atoms:
    """At least so many atoms of a repeated cell, displaced by so many Å."""
    repeats = repeats_of(cell, atoms)
    whole: Atoms = cell * (repeats, repeats, repeats)
    whole.positions += np.random.default_rng(0).normal(0, displaced, (len(whole), 3))
    return whole


def repeats_of(cell: Atoms, atoms: int) -> int:
    """How often a cell is repeated in each direction, for at least so many atoms."""
    return int(np.ceil((atoms / len(cell)) ** (1 / 3)))


def _rattled(atoms: Atoms, seed: int) -> Atoms:
    atoms.positions += np.random.default_rng(seed).normal(0, 0.05, (len(atoms), 3))
    return atoms
