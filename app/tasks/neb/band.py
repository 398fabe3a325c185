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
    moved = np.empty_like(forces)
    for i, own in enumerate(forces):
        along = tangent(steps[i], steps[i + 1], *energies[i : i + 3].tolist())
        force = float(np.vdot(own, along))
        if climbs and i + 1 == highest(energies):
            moved[i] = own - 2.0 * force * along
        else:
            pull = spring * (lengths[i + 1] - lengths[i])
            moved[i] = own + (pull - force) * along
    return moved


def highest(energies: Floats) -> int:
    """Number of the highest image between the ends."""
    return 1 + int(np.argmax(energies[1:-1]))


def tangent(behind: Floats, ahead: Floats, before: float, here: float, after: float) -> Floats:
    """(N, 3), of length 1: the direction of the path at an image.

    Args:
        behind: (N, 3), Å, from the image before.
        ahead: (N, 3), Å, to the next one.
        before: eV, of the image before.
        here: eV, of this one.
        after: eV, of the next one.
    """
    if after > here > before:
        direction = ahead
    elif after < here < before:
        direction = behind
    else:
        most, least = (
            max(abs(after - here), abs(before - here)),
            min(abs(after - here), abs(before - here)),
        )
        up, down = (most, least) if after > before else (least, most)
        direction = ahead * up + behind * down
    length = float(np.linalg.norm(direction))
    return direction / length if length > 0.0 else direction
