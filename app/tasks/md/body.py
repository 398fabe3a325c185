"""What of a structure moves, and in how many directions."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from ase.data import atomic_masses

from app.atoms.structure import Booleans, Floats, Structure
from app.errors import InvalidStructure
from app.tasks.thermo.rigid import rigid_motions

STILL = 1e-6
"""Share of a velocity that is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """N atoms, as they move.

    Attributes:
        masses: (N,), amu, of their elements.
        free: (N,), which F of them may move.
        rigid: (3F, K), orthonormal in coordinates weighted by the roots of the masses: motions as a
            whole, whose momenta nothing changes, and which are to be at rest. None of them are with a
            heat bath, which changes all.
    """

    masses: Floats
    free: Booleans
    rigid: Floats

    @classmethod
    def of(cls, structure: Structure, in_bath: bool) -> Self:
        """That of a structure.

        Args:
            structure: N atoms.
            in_bath: whether a heat bath moves it.

        Raises:
            InvalidStructure: nothing of it moves.
        """
        masses = atomic_masses[structure.numbers]
        free = np.ones(len(structure), dtype=bool) if structure.fixed is None else ~structure.fixed
        if not free.any():
            raise InvalidStructure("fixed: all atoms are, so that nothing moves; free some of them")
        rigid = np.empty((3 * int(free.sum()), 0))
        if not in_bath:
            rigid = rigid_motions(structure, masses, free)
        if rigid.shape[0] == rigid.shape[1]:
            raise InvalidStructure(
                "the structure moves as a whole or not at all, and with ensemble nve it is at rest as a "
                "whole; ask for nvt"
            )
        return cls(masses, free, rigid)

    @property
    def degrees_of_freedom(self) -> int:
        """Directions in which it has velocities."""
        return int(self.rigid.shape[0] - self.rigid.shape[1])

    def without_rigid(self, velocities: Floats) -> Floats:
        """(N, 3), in the unit of the velocities (N, 3): without those of fixed atoms and rigid motions."""
        roots = np.sqrt(self.masses[self.free])[:, None]
        weighted = (roots * velocities[self.free]).ravel()
        rigid = self.rigid @ (self.rigid.T @ weighted)
        if np.linalg.norm(rigid) > STILL * np.linalg.norm(weighted):
            weighted -= rigid
        own = np.zeros_like(velocities)
        own[self.free] = weighted.reshape(-1, 3) / roots
        return own
