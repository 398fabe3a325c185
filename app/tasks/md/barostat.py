"""The size of a cell as one more coordinate that moves, with friction and noise of its own.

D. Quigley, M. I. J. Probert, J. Chem. Phys. 120, 11432 (2004), hydrostatic, in the order of ASE's
`LangevinBAOAB`. With V the volume, P the pressure outside, σ the stress, K the kinetic energy of f
degrees of freedom, and W a mass, all lengths grow by p/W while

    dp/dt = 2K (1 + 3/f) − V tr σ − 3 P V − p/τ + noise,   dv/dt = F/m − (γ + (1 + 3/f) p/W) v + noise
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from app.atoms.structure import Floats
from app.relax.options import GPA
from app.tasks.md.integrator import ACCELERATION, KB
from app.tasks.md.options import MdBarostat, MdOptions

PERIOD = 4.0
"""Times of friction by period of the cell, of ASE's mass."""
LIGHT = 1.66
"""fs: period of one atom's cell of mass 1, found by ASE's authors for aluminium."""

MOST_RATE = 10.0
"""Logarithm of what lengths are multiplied by in half a step, at most; no sound step is near it."""


class Stretch(NamedTuple):
    """What a barostat does to positions and velocities in the middle of a step.

    Attributes:
        first: of lengths, before the first half of the drift.
        drag: of velocities.
        second: of lengths, after the second half.
    """

    first: float = 1.0
    drag: float = 1.0
    second: float = 1.0


STILL = Stretch()


@dataclass(slots=True)
class Barostat:
    """That of one replica.

    Attributes:
        half: fs, of half a step.
        mass: W, eV fs².
        pressure: P, eV/Å³.
        share: 3/f.
        damp: what friction leaves of its momentum in a step.
        spread: eV fs, what the heat bath adds, times a normal number.
        momentum: p, eV fs.
        force: eV, dp/dt without friction and noise; None before the first evaluation.
        scale: of lengths, over those at the beginning.
    """

    half: float
    mass: float
    pressure: float
    share: float
    damp: float
    spread: float
    momentum: float = 0.0
    force: float | None = None
    scale: float = 1.0

    @classmethod
    def of(
        cls,
        options: MdOptions,
        atoms: int,
        freedom: int,
        temperature: float,
        state: MdBarostat | None,
    ) -> Self:
        """That of a replica.

        Args:
            options: of the task.
            atoms: how many it has.
            freedom: degrees of freedom of their velocities.
            temperature: K, of the heat bath.
            state: from which it goes on.
        """
        tau = 1e3 * options.barostat_ps
        mass = (tau / PERIOD / LIGHT) ** 2 * atoms ** (1.0 / 3.0) / ACCELERATION
        left = math.exp(-options.timestep_fs / tau)
        variance = -math.expm1(-2.0 * options.timestep_fs / tau) * KB * temperature * mass
        own = cls(
            0.5 * options.timestep_fs,
            mass,
            options.pressure_GPa * GPA,
            3.0 / freedom,
            left,
            math.sqrt(variance),
        )
        if state is not None:
            own.momentum, own.force = state.momentum_eV_fs, state.force_eV
        return own

    def feel(self, kinetic: float, stress: Floats, volume: float) -> None:
        """Take the force of a geometry.

        Args:
            kinetic: eV, before the kick that ends a step.
            stress: (3, 3), eV/Å³, positive under tension.
            volume: Å³.
        """
        work = volume * (float(np.trace(stress)) + 3.0 * self.pressure)
        self.force = 2.0 * kinetic * (1.0 + self.share) - work

    def kick(self) -> None:
        """Half a kick by its force."""
        assert self.force is not None
        self.momentum += self.half * self.force

    def stretch(self, noise: float) -> Stretch:
        """What it does between two kicks; noise is a normal number."""
        first, drag = self._grown(1.0), self._grown(-2.0 * (1.0 + self.share))
        self.momentum = self.damp * self.momentum + self.spread * noise
        second = self._grown(1.0)
        self.scale *= first * second
        return Stretch(first, drag, second)

    def _grown(self, times: float) -> float:
        """Within what numbers hold, so that one that runs away can be told."""
        rate = times * self.half * self.momentum / self.mass
        return math.exp(min(max(rate, -MOST_RATE), MOST_RATE))

    @property
    def state(self) -> MdBarostat:
        """From which another one goes on."""
        return MdBarostat(momentum_eV_fs=self.momentum, force_eV=self.force)
