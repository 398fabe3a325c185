"""One step of many replicas at once: BAOAB, which without friction is velocity Verlet.

B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34; J. Chem. Phys. 138, 174102 (2013). With h
the step, a half kick by the forces (B), half a drift (A), friction and noise over all of h, exactly (O),
half a drift (A), new forces, a half kick (B):

    v ← v + h/2 F/m;  x ← x + h/2 v;  v ← e^(−γh) v + √((1 − e^(−2γh)) kT/m) ξ;  x ← x + h/2 v;
    v ← v + h/2 F/m
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from ase import units

from app.atoms.structure import Booleans, Floats

ACCELERATION = units.fs**2
"""Å/fs², of an atom of 1 amu by a force of 1 eV/Å."""
KB = units.kB
"""eV/K."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """What moves the N atoms of replicas; zero of those that are held.

    Attributes:
        kick: (N, 1), Å/fs by eV/Å: of half a step.
        drift: (N, 1), fs: half a step.
        damp: (N, 1), what friction leaves of a velocity.
        spread: (N, 1), Å/fs: what the heat bath adds, times a normal number.
    """

    kick: Floats
    drift: Floats
    damp: Floats
    spread: Floats

    @classmethod
    def of(
        cls, masses: Floats, free: Booleans, timestep: float, friction: float, temperature: float
    ) -> Self:
        """That of one replica.

        Args:
            masses: (N,), amu.
            free: (N,), which may move.
            timestep: fs.
            friction: fs⁻¹; 0 keeps the energy.
            temperature: K, of the heat bath.
        """
        moves = free.astype(np.float64)[:, None]
        inverse = moves * ACCELERATION / masses[:, None]
        left = math.exp(-friction * timestep)
        variance = -math.expm1(-2.0 * friction * timestep) * KB * temperature
        return cls(
            0.5 * timestep * inverse,
            0.5 * timestep * moves,
            np.full_like(moves, left),
            np.sqrt(variance * inverse),
        )

    @classmethod
    def joined(cls, motions: Sequence[Self]) -> Self:
        """That of all atoms of several replicas."""
        names = ("kick", "drift", "damp", "spread")
        return cls(*(np.concatenate([getattr(m, name) for m in motions]) for name in names))

    def kicked(self, velocities: Floats, forces: Floats) -> Floats:
        """(N, 3), Å/fs, after half a kick by forces (N, 3), eV/Å."""
        kicked: Floats = velocities + self.kick * forces
        return kicked

    def moved(
        self,
        positions: Floats,
        velocities: Floats,
        noise: Floats,
        first: Floats | float = 1.0,
        drag: Floats | float = 1.0,
        second: Floats | float = 1.0,
    ) -> tuple[Floats, Floats]:
        """Positions (N, 3), Å, and velocities (N, 3), Å/fs, between two kicks.

        Args:
            positions: (N, 3), Å.
            velocities: (N, 3), Å/fs.
            noise: (N, 3), normal.
            first: (N, 1), of lengths, `drag`, of velocities, and `second`: what barostats do.
        """
        half = first * positions + self.drift * velocities
        velocities = drag * self.damp * velocities + self.spread * noise
        return second * (half + self.drift * velocities), velocities
