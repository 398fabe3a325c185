"""Random structures of every kind of periodicity, from a seed and a model's card."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase.data import covalent_radii

from app.atoms.structure import Floats, Structure
from app.store.card import ModelCard

BULK = np.array([True, True, True])
SLAB = np.array([True, True, False])
WIRE = np.array([False, False, True])


def spacing(card: ModelCard) -> float:
    """Å; a distance at which any two of the card's elements neither overlap nor ignore each other."""
    if card.pair:
        return 1.1 * max(parameters.sigma for parameters in card.pair.values())
    return 2.2 * float(covalent_radii[card.numbers].max())


def sites(shape: tuple[int, int, int], step: float, rng: np.random.Generator) -> Floats:
    """(N, 3), Å: the points of a simple cubic grid, each moved by up to a tenth of a step."""
    grid = np.array(list(itertools.product(*map(range, shape))), dtype=float)
    return step * (grid + rng.uniform(-0.1, 0.1, grid.shape))


def random_rotation(rng: np.random.Generator) -> Floats:
    """A proper rotation."""
    matrix, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return matrix * np.sign(np.linalg.det(matrix))


def random_molecule(card: ModelCard, n_atoms: int, seed: int) -> Structure:
    """A compact cluster of random elements in open space."""
    rng = np.random.default_rng(seed)
    edge = int(np.ceil(n_atoms ** (1 / 3)))
    grid = sites((edge, edge, edge), spacing(card), rng)
    chosen = grid[np.argsort(np.linalg.norm(grid - grid.mean(axis=0), axis=1))[:n_atoms]]
    return Structure(rng.choice(card.numbers, n_atoms), chosen @ random_rotation(rng).T)


def random_crystal(
    card: ModelCard,
    shape: tuple[int, int, int],
    seed: int,
    pbc: np.ndarray = BULK,
    left_handed: bool = False,
) -> Structure:
    """A distorted cubic crystal in a triclinic cell, of random elements, some atoms outside.

    Directions without period get no lattice vector.
    """
    rng = np.random.default_rng(seed)
    step = spacing(card)
    strain = np.eye(3) + rng.uniform(-0.06, 0.06, (3, 3))
    rotation = random_rotation(rng)
    positions = sites(shape, step, rng) @ strain @ rotation.T
    cell = (np.diag(shape) * step) @ strain @ rotation.T
    cell[~pbc] = 0.0
    order = [1, 0, 2] if left_handed else [0, 1, 2]
    positions += rng.integers(-2, 3, positions.shape) @ cell
    return Structure(rng.choice(card.numbers, len(positions)), positions, cell[order], pbc[order])


def turned(structures: Sequence[Structure], rotation: Floats) -> list[Structure]:
    """Rotated or mirrored, with their cells."""
    return [
        replace(s, positions=s.positions @ rotation.T, cell=s.cell @ rotation.T) for s in structures
    ]


def repeated(structure: Structure) -> Structure:
    """Twice as long along each periodic lattice vector."""
    counts = np.where(structure.pbc, 2, 1)
    shifts = np.array(list(np.ndindex(*counts))) @ structure.cell
    positions = (shifts[:, None] + structure.positions).reshape(-1, 3)
    return replace(
        structure,
        numbers=np.tile(structure.numbers, len(shifts)),
        positions=positions,
        cell=structure.cell * counts[:, None],
    )


def strained(structure: Structure, strain: Floats) -> Structure:
    """Stretched and sheared, with the cell."""
    deformation = np.eye(3) + strain
    return replace(
        structure, positions=structure.positions @ deformation, cell=structure.cell @ deformation
    )


def leaving(molecule: Structure, cutoff: float, n_steps: int) -> list[Structure]:
    """A molecule whose last atom walks out of the reach of its first one, in steps of 0.5 mÅ."""
    away = molecule.positions[-1] - molecule.positions[0]
    away /= np.linalg.norm(away)
    distances = cutoff + 5e-4 * (np.arange(n_steps) - n_steps / 2 + 0.3)
    return [
        replace(
            molecule,
            positions=np.concatenate([molecule.positions[:-1], [molecule.positions[0] + d * away]]),
        )
        for d in distances
    ]
