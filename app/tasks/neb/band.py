"""Forces of a nudged elastic band: those across the path, and springs along it.

G. Henkelman, H. Jónsson, J. Chem. Phys. 113, 9978 (2000) (tangents, eqs. 8 to 12); G. Henkelman, B. P.
Uberuaga, H. Jónsson, J. Chem. Phys. 113, 9901 (2000) (the image that climbs, eq. 5).
"""

import numpy as np

from app.atoms.structure import Floats


def band_forces(
    positions: Floats, energies: Floats, forces: Floats, spring: float, climbs: bool
) -> Floats:
    """(K − 2, N, 3), eV/Å: what moves the images between the ends.

    With τ the tangent, F − (F·τ) τ + k (|R₊ − R| − |R − R₋|) τ; of the highest image, where it climbs,
    F − 2 (F·τ) τ.

    Args:
        positions: (K, N, 3), Å, of all images, the ends included.
        energies: (K,), eV.
        forces: (K − 2, N, 3), eV/Å, of those between the ends.
        spring: k, eV/Å².
        climbs: whether the highest image does.
    """
    steps = np.diff(positions, axis=0)
    lengths = np.linalg.norm(steps, axis=(1, 2))
    along = tangents(steps, energies)
    force = np.einsum("kna,kna->k", forces, along)
    push = spring * np.diff(lengths) - force
    if climbs:
        top = highest(energies) - 1
        push[top] = -2.0 * force[top]
    moved: Floats = forces + push[:, None, None] * along
    return moved


def highest(energies: Floats) -> int:
    """Number of the highest image between the ends."""
    return 1 + int(np.argmax(energies[1:-1]))


def tangents(steps: Floats, energies: Floats) -> Floats:
    """(K − 2, N, 3), each of length 1: the direction of the path at the images between the ends.

    Args:
        steps: (K − 1, N, 3), Å, from each image to the next one.
        energies: (K,), eV.
    """
    behind, ahead = steps[:-1], steps[1:]
    before, here, after = energies[:-2], energies[1:-1], energies[2:]
    most, least = np.sort(np.abs([after - here, before - here]), axis=0)[::-1]
    rises, falls = (after > here) & (here > before), (after < here) & (here < before)
    up, down = np.where(after > before, (most, least), (least, most))
    up, down = np.where(rises | falls, (rises, falls), (up, down))
    directions: Floats = ahead * up[:, None, None] + behind * down[:, None, None]
    lengths = np.linalg.norm(directions, axis=(1, 2), keepdims=True)
    return directions / np.where(lengths > 0.0, lengths, 1.0)
