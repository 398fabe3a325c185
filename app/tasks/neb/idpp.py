"""Where a path begins: its images between the ends, such that atoms go around each other.

S. Smidstrup, A. Pedersen, K. Stokbro, H. Jónsson, J. Chem. Phys. 140, 214106 (2014): a band whose images
want the distances between all atoms to change evenly; as ASE has it, with damped dynamics.
"""

import numpy as np

from app.atoms.structure import Floats, Structure
from app.tasks.neb.band import band_forces
from app.tasks.neb.ends import shortest

SPRING = 0.1
"""Between images that follow each other, in the unit of the pair potential by Å²."""
SMALL = 0.1
"""The longest force that may be left, in that unit by Å."""
STEPS = 100
"""Most of them."""
TIME_STEP = 0.2
"""For masses of 1."""
MAX_STEP = 0.2
"""Å, of the atom that moves most."""
TINY = 1e-6


def interpolated(start: Structure, end: Structure, images: int) -> Floats:
    """(K, N, 3), Å: a path with so many images between its ends."""
    shares = np.linspace(0.0, 1.0, images + 2)[:, None, None]
    path = start.positions + shares * shortest(start, end)
    path[-1] = end.positions
    first, last = (_distances(_vectors(start, path[i])) for i in (0, -1))
    velocities = np.zeros_like(path[1:-1])
    for made in range(STEPS):
        pairs = [
            _pair_potential(_vectors(start, own), first + share[0] * (last - first))
            for own, share in zip(path, shares, strict=True)
        ]
        energies, pulls = (np.array(each) for each in zip(*pairs, strict=True))
        if start.fixed is not None:
            pulls[:, start.fixed] = 0.0
        forces = band_forces(path, energies, pulls[1:-1], SPRING, climbs=False)
        if _longest(forces) < SMALL:
            break
        if made:
            velocities += 0.5 * TIME_STEP * forces
            power = max(0.0, float(np.vdot(velocities, forces)))
            velocities = power / np.vdot(forces, forces) * forces
        velocities += 0.5 * TIME_STEP * forces
        moves = TIME_STEP * velocities
        moves *= min(1.0, MAX_STEP / (TINY + _longest(moves)))
        path[1:-1] += moves
    return path


def _pair_potential(vectors: Floats, wanted: Floats) -> tuple[float, Floats]:
    """½ Σ (d − d₀)² / d⁴ over all distances d, and its forces (N, 3), in its own unit.

    Args:
        vectors: (N, N, 3), Å, from the first to the second atom.
        wanted: (N, N), Å: d₀.
    """
    distances = _distances(vectors)
    off = distances - wanted
    np.fill_diagonal(distances, 1.0)
    slopes = off * (1.0 - 2.0 * off / distances) / distances**5
    forces: Floats = -2.0 * np.einsum("ij,ija->ja", slopes, vectors)
    return float(0.5 * (off**2 / distances**4).sum()), forces


def _vectors(structure: Structure, positions: Floats) -> Floats:
    """(N, N, 3), Å: from each atom to the nearest image of each, with atoms at positions (N, 3)."""
    vectors: Floats = positions - positions[:, None]
    if structure.pbc.any():
        from ase.geometry import find_mic

        nearest = find_mic(vectors.reshape(-1, 3), structure.cell, structure.pbc)[0]
        vectors = nearest.reshape(vectors.shape)
    return vectors


def _distances(vectors: Floats) -> Floats:
    distances: Floats = np.sqrt(np.einsum("ija,ija->ij", vectors, vectors))
    return distances


def _longest(rows: Floats) -> float:
    """Length of the longest row of (K, N, 3)."""
    return float(np.sqrt(np.einsum("kna,kna->kn", rows, rows).max()))
