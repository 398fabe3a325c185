"""Random numbers of a replica: the same of the same seed, whatever else is computed.

They come from a counter (Philox), so that those of any step can be had without those before, and a
replica that goes on from a kept state gets the same ones.
"""

import numpy as np

from app.atoms.structure import Floats
from app.tasks.md.body import Body
from app.tasks.md.integrator import ACCELERATION, KB

BLOCK = 32
"""Steps whose numbers are drawn at once."""
FIRST, STEPS, CELL = 0, 1, 2
"""Streams: velocities at the beginning, and kicks of the heat bath, to atoms and to the cell."""


class Noise:
    """Normal random numbers of one replica of N atoms.

    Args:
        seed: of all replicas.
        replica: number of the replica.
        temperature: K; replicas of the same number at different temperatures have different numbers.
        atoms: N.
    """

    def __init__(self, seed: int, replica: int, temperature: float, atoms: int) -> None:
        entropy = (seed, replica, round(1000.0 * temperature))
        self._key = np.random.SeedSequence(entropy).generate_state(2, np.uint64)
        self._atoms, self._block, self._rows = atoms, -1, np.empty(0)

    def first(self) -> Floats:
        """(N, 3), of the velocities at the beginning."""
        first: Floats = self._drawn(FIRST, 0, (1, self._atoms, 3))[0]
        return first

    def of(self, step: int) -> Floats:
        """(N, 3), of the step that follows so many."""
        block, row = divmod(step, BLOCK)
        if block != self._block:
            self._block, self._rows = block, self._drawn(STEPS, block, (BLOCK, self._atoms, 3))
        own: Floats = self._rows[row]
        return own

    def of_cell(self, step: int) -> float:
        """Of the cell in the step that follows so many."""
        block, row = divmod(step, BLOCK)
        return float(self._drawn(CELL, block, (BLOCK,))[row])

    def _drawn(self, stream: int, block: int, shape: tuple[int, ...]) -> Floats:
        counter = np.array([0, 0, block, stream], dtype=np.uint64)
        generator = np.random.Generator(np.random.Philox(counter=counter, key=self._key))
        return generator.standard_normal(shape)


def thermal(noise: Floats, body: Body, temperature: float) -> Floats:
    """(N, 3), Å/fs: velocities by Maxwell and Boltzmann of what may move.

    Args:
        noise: (N, 3), normal.
        body: N atoms.
        temperature: K.
    """
    velocities = noise * np.sqrt(ACCELERATION * KB * temperature / body.masses)[:, None]
    return body.without_rigid(velocities)
