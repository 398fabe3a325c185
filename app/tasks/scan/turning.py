"""Bringing a coordinate of a molecule to another value, with what is beyond it moved as a whole."""

import numpy as np

from app.atoms.structure import Booleans, Floats, Structure
from app.relax import Held
from app.relax.bonds import joined


def brought(structure: Structure, held: Held) -> Structure:
    """The molecule with a coordinate at its value.

    What hangs on the last atom of a distance or an angle, or on the third one of a dihedral angle,
    moves as a whole; where that is part of a ring, or has fixed atoms, only the coordinate's own atoms
    do.

    Raises:
        InvalidStructure: the coordinate is not defined, or cannot be brought there.
    """
    positions = structure.positions
    side = _side(structure, held.atoms)
    if side is not None:
        positions = _moved(positions, side, held)
    return structure.at(held.restored(positions, structure.fixed))


def _side(structure: Structure, atoms: tuple[int, ...]) -> Booleans | None:
    """(N,) atoms that move as a whole; None where that would tear a ring, or move fixed atoms."""
    near, far = (atoms[1], atoms[2]) if len(atoms) > 2 else (atoms[0], atoms[1])
    bonded = joined(structure)
    bonded[near, far] = bonded[far, near] = False
    side = np.zeros(len(structure), dtype=bool)
    side[far] = True
    while (grown := side | bonded[side].any(axis=0)).sum() > side.sum():
        side = grown
    if side[near] or (structure.fixed is not None and structure.fixed[side].any()):
        return None
    return side


def _moved(positions: Floats, side: Booleans, held: Held) -> Floats:
    moved, beyond = positions.copy(), held.off(positions)
    points = positions[list(held.atoms)]
    if len(points) == 2:
        moved[side] -= beyond * (points[1] - points[0]) / np.linalg.norm(points[1] - points[0])
        return moved
    if len(points) == 3:
        axis = np.cross(points[0] - points[1], points[2] - points[1])
        centre = points[1]
    else:
        axis, centre = points[2] - points[1], points[2]
    axis = axis / np.linalg.norm(axis)
    moved[side] = centre + (positions[side] - centre) @ _rotation(axis, -beyond).T
    return moved


def _rotation(axis: Floats, angle: float) -> Floats:
    """(3, 3), about a unit vector by radians: Rodrigues' formula."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turned: Floats = np.eye(3) + np.sin(angle) * k + (1.0 - np.cos(angle)) * (k @ k)
    return turned
