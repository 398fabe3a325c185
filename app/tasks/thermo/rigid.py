"""Rigid motions: translations and rotations that leave the energy as it is, and moments of inertia."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from ase import units

from app.atoms.structure import Booleans, Floats, Structure

LINEAR = 0.05
"""Å that no atom of a linear molecule is further from its axis."""
STILL = 1e-3
"""Å, or Å a radian, by which a motion may move a fixed atom and still leave it where it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Rotor:
    """A molecule as it rotates.

    Attributes:
        centre: (3,), Å, of mass.
        moments: (3,), amu Å², principal moments of inertia, the least first.
        axes: (3, 3), rows are the principal axes.
        is_linear: whether all atoms are on the first axis, or almost; false of a single atom.
    """

    centre: Floats
    moments: Floats
    axes: Floats
    is_linear: bool

    @property
    def constants(self) -> list[float]:
        """cm⁻¹, rotational constants ħ²/2I, the largest first: 3, 1 if linear, none of an atom."""
        moments = self.moments[-1:] if self.is_linear else self.moments
        quanta = units._hbar**2 / (2.0 * moments[moments > 0.0] * units._amu * 1e-20)
        constants: list[float] = (quanta / units._e / units.invcm).tolist()
        return constants

    @classmethod
    def of(cls, positions: Floats, masses: Floats) -> Self:
        """That of atoms.

        Args:
            positions: (N, 3), Å.
            masses: (N,), amu.
        """
        centre = masses @ positions / masses.sum()
        r = positions - centre
        squares = np.einsum("na,na->n", r, r)
        inertia = (masses @ squares) * np.eye(3) - np.einsum("n,na,nb->ab", masses, r, r)
        moments, axes = np.linalg.eigh(inertia)
        off_axis = r - np.outer(r @ axes[:, 0], axes[:, 0])
        linear = len(positions) > 1 and np.linalg.norm(off_axis, axis=1).max() < LINEAR
        return cls(centre, np.maximum(moments, 0.0), axes.T, bool(linear))


def rigid_motions(structure: Structure, masses: Floats, free: Booleans) -> Floats:
    """Translations, and rotations of what does not repeat, as far as they move no fixed atom.

    Args:
        structure: N atoms.
        masses: (N,), amu.
        free: (N,), which of them are F that may move.

    Returns:
        (3F, K), orthonormal in coordinates weighted by the roots of the masses; K is 6 of a molecule
        of which all may move, 5 of a linear one, 3 of an atom and of what repeats.
    """
    n = len(structure)
    motions = [np.tile(axis, (n, 1)) for axis in np.eye(3)]
    if not structure.pbc.any() and n > 1:
        rotor = Rotor.of(structure.positions, masses)
        turned = rotor.axes[1:] if rotor.is_linear else rotor.axes
        motions += [np.cross(axis, structure.positions - rotor.centre) for axis in turned]
    basis = np.array(motions).reshape(len(motions), 3 * n).T
    if not free.all():
        held = basis[np.repeat(~free, 3)]
        _, values, rows = np.linalg.svd(held)
        moving = np.ones(len(rows), dtype=bool)
        moving[: len(values)] = values < STILL * np.sqrt(n)
        basis = basis @ rows[moving].T
    weighted = basis[np.repeat(free, 3)] * np.sqrt(np.repeat(masses[free], 3))[:, None]
    orthonormal: Floats = np.linalg.qr(weighted)[0]
    return orthonormal
