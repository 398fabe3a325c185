"""Synthetic structures of given elements, of sizes and shapes that an exported model meets in
service.
"""

from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from app.atoms.structure import Floats, Integers, Structure

CLOSEST = 0.85
"""Shortest distance between two atoms, as a share of the sum of their covalent radii."""
VOLUME = 14.0
"""Å³ an atom, roughly as in a molecular solid."""


def isolated(elements: Sequence[str]) -> list[Structure]:
    """One atom of each element."""
    return [Structure(np.array([atomic_numbers[symbol]]), np.zeros((1, 3))) for symbol in elements]


def far_pair(elements: Sequence[str], distance: float) -> Structure:
    """Two atoms a distance (Å) apart."""
    number = atomic_numbers[elements[0]]
    return Structure(np.array([number, number]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]]))


def cluster(elements: Sequence[str], atoms: int, seed: int) -> Structure:
    """A random cluster, about as dense as a molecule."""
    random = np.random.default_rng(seed)
    numbers = _numbers(elements, atoms, random)
    side = (VOLUME * atoms) ** (1 / 3)
    return Structure(numbers, _pack(numbers, np.eye(3) * side, False, random))


def box(
    elements: Sequence[str],
    atoms: int,
    seed: int,
    pbc: tuple[bool, bool, bool] = (True, True, True),
) -> Structure:
    """Random atoms in a periodic, slightly triclinic box; small boxes have atoms with many images."""
    random = np.random.default_rng(seed)
    return _box(_numbers(elements, atoms, random), pbc, random)


def of_every_element(elements: Sequence[str], seed: int) -> Structure:
    """A periodic, slightly triclinic box with every element, twelve atoms at least."""
    random = np.random.default_rng(seed)
    symbols = random.permutation(np.resize(elements, max(12, len(elements))))
    numbers = np.array([atomic_numbers[symbol] for symbol in symbols], dtype=np.int64)
    return _box(numbers, (True, True, True), random)


def _box(numbers: Integers, pbc: tuple[bool, bool, bool], random: np.random.Generator) -> Structure:
    side = (VOLUME * 1.3 * len(numbers)) ** (1 / 3)
    cell = (np.eye(3) + random.uniform(-0.15, 0.15, (3, 3))) * side
    return Structure(numbers, _pack(numbers, cell, True, random), cell, np.array(pbc))


def _numbers(elements: Sequence[str], atoms: int, random: np.random.Generator) -> Integers:
    return np.array(
        [atomic_numbers[symbol] for symbol in random.choice(elements, atoms)], dtype=np.int64
    )


def _pack(numbers: Integers, cell: Floats, periodic: bool, random: np.random.Generator) -> Floats:
    """(N, 3), Å: push random points apart until none is closer than allowed, or for some hundred
    rounds.
    """
    positions: Floats = random.uniform(size=(len(numbers), 3)) @ cell
    radii = covalent_radii[numbers]
    closest = CLOSEST * (radii[:, None] + radii)
    for _ in range(400):
        vectors = positions[:, None] - positions
        if periodic:
            fractional = vectors @ np.linalg.inv(cell)
            vectors = (fractional - np.round(fractional)) @ cell
        distance = np.sqrt((vectors**2).sum(-1)) + np.eye(len(numbers)) * 1e3
        overlap = np.clip(closest - distance, 0, None)
        if overlap.max() < 1e-3:
            break
        positions = positions + (vectors / distance[..., None] * (0.55 * overlap)[..., None]).sum(1)
    return positions
