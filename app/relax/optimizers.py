"""FIRE and L-BFGS as ASE has them, and scaled L-BFGS; a step of many structures at once."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from app.atoms.ragged import ranges
from app.atoms.structure import Floats, Structure
from app.relax.rows import Rows

MAX_STEP = 0.2
"""Å, ASE's default: of the whole step in FIRE, of the row that moves most in L-BFGS."""
MEMORY = 100
"""Steps that L-BFGS remembers."""
ALPHA = 70.0
"""eV/Å², the curvature that L-BFGS begins with."""
TINY = np.finfo(np.float64).tiny


class Optimizer(ABC):
    """What an optimiser remembers of one structure."""

    @classmethod
    @abstractmethod
    def moves(
        cls,
        states: Sequence[Self],
        x: Floats,
        forces: Floats,
        rows: Rows,
        origins: Sequence[Structure],
    ) -> Floats:
        """The next displacements of B structures, whose states go on.

        Args:
            states: what is remembered of each structure.
            x: (M, 3), Å, where the rows of all structures are.
            forces: (M, 3), eV/Å, on them.
            rows: which row is whose.
            origins: the structures as they were given.

        Returns:
            (M, 3), Å.
        """


@dataclass(slots=True)
class Fire(Optimizer):
    """FIRE: Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006).

    Attributes:
        velocity: (N + 3, 3), Å by the unit of dt; None before the first step.
        dt: time step, for masses of 1.
        a: how far the velocity is turned towards the force.
        downhill: steps since the force last pointed against the velocity.
    """

    velocity: Floats | None = None
    dt: float = 0.1
    a: float = 0.1
    downhill: int = 0

    @classmethod
    def moves(
        cls,
        states: Sequence[Self],
        x: Floats,
        forces: Floats,
        rows: Rows,
        origins: Sequence[Structure],
    ) -> Floats:
        """See `Optimizer`."""
        moved = np.array([s.velocity is not None for s in states])
        still = [
            np.zeros((n, 3)) if s.velocity is None else s.velocity
            for s, n in zip(states, rows.lengths.tolist(), strict=True)
        ]
        velocity = np.concatenate(still)
        dt, a, downhill = (
            np.array([getattr(s, name) for s in states]) for name in ("dt", "a", "downhill")
        )

        down = rows.dot(forces, velocity) > 0.0
        turn = np.sqrt(rows.dot(velocity, velocity) / np.maximum(rows.dot(forces, forces), TINY))
        velocity = rows.spread(np.where(down, 1.0 - a, 0.0)) * velocity
        velocity += rows.spread(np.where(down, a * turn, 0.0)) * forces
        faster, back = down & (downhill > 5), moved & ~down
        dt = np.where(faster, np.minimum(1.1 * dt, 1.0), np.where(back, 0.5 * dt, dt))
        a = np.where(faster, 0.99 * a, np.where(back, 0.1, a))
        downhill = np.where(down, downhill + 1, 0)

        velocity += rows.spread(dt) * forces
        moves: Floats = rows.spread(dt) * velocity
        length = np.sqrt(rows.dot(moves, moves))
        moves *= rows.spread(np.minimum(1.0, MAX_STEP / np.maximum(length, TINY)))
        for i, (state, own) in enumerate(zip(states, rows.split(velocity), strict=True)):
            state.velocity, state.dt, state.a, state.downhill = (
                own,
                float(dt[i]),
                float(a[i]),
                int(downhill[i]),
            )
        return moves


@dataclass(slots=True)
class Lbfgs(Optimizer):
    """L-BFGS without a line search: Nocedal, Math. Comp. 35, 773 (1980), the two-loop recursion.

    Where the energy curves downwards, as of bonds that are almost broken, the step of ASE's may lead
    uphill, until atoms are apart. Of such a step, negative curvatures are taken as positive.

    Attributes:
        history: s = Δx in Å, y = −Δf in eV/Å, both (N + 3, 3), and 1 / s·y of the last steps,
            newest last.
        last: x and forces of the last step, (N + 3, 3), Å and eV/Å.
    """

    history: list[tuple[Floats, Floats, float]] = field(default_factory=list)
    last: tuple[Floats, Floats] | None = None

    @classmethod
    def moves(
        cls,
        states: Sequence[Self],
        x: Floats,
        forces: Floats,
        rows: Rows,
        origins: Sequence[Structure],
    ) -> Floats:
        """See `Optimizer`."""
        for state, own_x, own_forces in zip(states, rows.split(x), rows.split(forces), strict=True):
            state._remember(own_x.copy(), own_forces.copy())
        moves = cls._directions(states, forces, rows)
        uphill = np.flatnonzero(rows.dot(moves, forces) < 0.0).tolist()
        if uphill:
            for i in uphill:
                states[i]._turn()
            moves = cls._directions(states, forces, rows)
        longest = rows.longest(moves)
        moves *= rows.spread(np.minimum(1.0, MAX_STEP / np.maximum(longest, TINY)))
        return moves

    @classmethod
    def _directions(cls, states: Sequence[Self], forces: Floats, rows: Rows) -> Floats:
        """(M, 3) of all structures, in their order."""
        order = sorted(range(len(states)), key=lambda i: -len(states[i].history))
        rows_in_order = ranges(rows.starts[order], rows.lengths[order])
        histories = [states[i].history for i in order]
        softness = np.array([states[i]._softness() for i in order])
        moves = np.empty_like(forces)
        moves[rows_in_order] = _direction(
            histories, softness, forces[rows_in_order], Rows(rows.n_atoms[order])
        )
        return moves

    def _softness(self) -> float:
        """Å²/eV, the inverse of the curvature that is taken where nothing is known of it."""
        return 1.0 / ALPHA

    def _turn(self) -> None:
        """Take the curvatures that are negative for positive ones, which leads downhill."""
        self.history = [(s, y if rho > 0 else -y, abs(rho)) for s, y, rho in self.history]

    def _remember(self, x: Floats, forces: Floats) -> None:
        if self.last is not None:
            s, y = x - self.last[0], self.last[1] - forces
            curvature = float(np.vdot(y, s))
            if curvature:
                self.history = [*self.history, (s, y, 1.0 / curvature)][-MEMORY:]
        self.last = x, forces


@dataclass(slots=True)
class ScaledLbfgs(Lbfgs):
    """L-BFGS that begins with the curvature of the last pair, y·y / s·y, where that is positive.

    Nocedal & Wright, Numerical Optimization, 2nd ed., eq. 7.20.
    """

    def _softness(self) -> float:
        if not self.history or self.history[-1][2] <= 0.0:
            return 1.0 / ALPHA
        _, y, rho = self.history[-1]
        return 1.0 / (rho * float(np.vdot(y, y)))


def _direction(
    histories: Sequence[list[tuple[Floats, Floats, float]]],
    softness: Floats,
    forces: Floats,
    rows: Rows,
) -> Floats:
    """(M, 3) directions of structures that stand in order of their histories, the longest first."""
    q = -forces
    past = list(_steps(histories, rows))
    weights = []
    for part, end, s, y, rho in past:
        weight = rho * part.dot(s, q[:end])
        q[:end] -= part.spread(weight) * y
        weights.append(weight)
    q *= rows.spread(softness)
    for (part, end, s, y, rho), weight in zip(reversed(past), reversed(weights), strict=True):
        q[:end] += part.spread(weight - rho * part.dot(y, q[:end])) * s
    return -q


def _steps(
    histories: Sequence[list[tuple[Floats, Floats, float]]], rows: Rows
) -> Iterator[tuple[Rows, int, Floats, Floats, Floats]]:
    """For each step back in time, what the structures remember of it.

    Yields:
        Rows of the B structures that remember it; how many rows they have, M; s and y, (M, 3), of
        all; and 1 / s·y, (B,), of each.
    """
    part, count = rows, len(histories)
    for age in range(1, 1 + len(histories[0])):
        remembered = [history[-age] for history in histories if len(history) >= age]
        if len(remembered) < count:
            count = len(remembered)
            part = Rows(rows.n_atoms[:count])
        s, y, rho = zip(*remembered, strict=True)
        yield part, len(part.structure), np.concatenate(s), np.concatenate(y), np.array(rho)
