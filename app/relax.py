"""Relaxation: FIRE and L-BFGS with ASE's parameters, as pure steps on arrays.

Each relaxation awaits one evaluation a step, through the queue that single points use as well, so that many
relaxations and single points share batches. Cell relaxation follows ASE's `UnitCellFilter` (Tadmor et al.,
Phys. Rev. B 59, 235 (1999)): the deformation gradient joins the atoms as three more rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, Self

import numpy as np

from app.errors import BackendError, InvalidRequest, InvalidStructure, StructureTooLarge
from app.potential import Potential
from app.prediction import StructurePrediction
from app.structure import Floats, Structure

MAX_STEP = 0.2
"""Å, ASE's default: of the whole step in FIRE, of the atom that moves most in L-BFGS."""
VOLUME_RATIOS = (0.2, 5.0)
"""A cell that shrinks or grows beyond these ratios of its first volume has collapsed or evaporated."""


@dataclass(frozen=True, slots=True)
class RelaxOptions:
    """What to relax, how far, and when to stop.

    Attributes:
        fmax: eV/Å; converged when no row of the forces is longer.
        steps: the most optimiser steps.
        optimizer: `fire` or `lbfgs`.
        cell: whether to relax the cell, too.
        max_force: eV/Å; a longer force means that the structure has exploded.
    """

    fmax: float = 0.05
    steps: int = 200
    optimizer: Literal["fire", "lbfgs"] = "fire"
    cell: bool = False
    max_force: float = 1000.0


@dataclass(frozen=True, slots=True)
class Relaxed:
    """Where a relaxation ended.

    Attributes:
        structure: the last sound geometry.
        prediction: its energy, forces and stress.
        initial: those of the structure as it was given.
        fmax: eV/Å, what was left of the criterion's quantity.
        steps: optimiser steps that were made.
        converged: whether `fmax` is below the limit.
        criterion: what was compared with which limit.
        reason: `converged`, `steps`, or `exploded: ...`.
    """

    structure: Structure
    prediction: StructurePrediction
    initial: StructurePrediction
    fmax: float
    steps: int
    converged: bool
    criterion: str
    reason: str


class Stepper(Protocol):
    """The state of an optimiser for one structure; immutable."""

    def step(self, x: Floats, forces: Floats) -> tuple[Floats, Self]:
        """The displacement (M, 3) at x (M, 3) under forces (M, 3), and the state after it."""
        ...


@dataclass(frozen=True, slots=True)
class Fire:
    """FIRE (Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006)), in ASE's variant and with its parameters."""

    velocity: Floats | None = None  # (M, 3)
    dt: float = 0.1
    a: float = 0.1
    downhill: int = 0

    def step(self, x: Floats, forces: Floats) -> tuple[Floats, Self]:
        """See `Stepper`."""
        state = self._mixed(forces)
        velocity = (0.0 if state.velocity is None else state.velocity) + state.dt * forces
        move = state.dt * velocity
        length = float(np.linalg.norm(move))
        return (move * (MAX_STEP / length) if length > MAX_STEP else move), replace(state, velocity=velocity)

    def _mixed(self, forces: Floats) -> Self:
        if self.velocity is None:
            return self
        if np.vdot(forces, self.velocity) <= 0.0:
            return replace(self, velocity=np.zeros_like(forces), dt=self.dt * 0.5, a=0.1, downhill=0)
        along = forces * (np.linalg.norm(self.velocity) / np.linalg.norm(forces))
        state = replace(self, velocity=(1.0 - self.a) * self.velocity + self.a * along, downhill=self.downhill + 1)
        if self.downhill > 5:
            state = replace(state, dt=min(self.dt * 1.1, 1.0), a=self.a * 0.99)
        return state


@dataclass(frozen=True, slots=True)
class Lbfgs:
    """L-BFGS without a line search, in ASE's variant and with its parameters (memory 100, alpha 70)."""

    history: tuple[tuple[Floats, Floats, float], ...] = field(default=())  # s, y, 1 / s·y
    last: tuple[Floats, Floats] | None = None  # x, forces

    def step(self, x: Floats, forces: Floats) -> tuple[Floats, Self]:
        """See `Stepper`."""
        history = self._extended(x, forces)
        move = self._direction(forces, history)
        longest = longest_row(move)
        if longest >= MAX_STEP:
            move *= MAX_STEP / longest
        return move, replace(self, history=history, last=(x, forces))

    def _extended(self, x: Floats, forces: Floats) -> tuple[tuple[Floats, Floats, float], ...]:
        if self.last is None:
            return self.history
        s, y = x - self.last[0], self.last[1] - forces
        curvature = float(np.vdot(y, s))
        return (*self.history, (s, y, 1.0 / curvature))[-100:] if curvature else self.history

    @staticmethod
    def _direction(forces: Floats, history: tuple[tuple[Floats, Floats, float], ...]) -> Floats:
        """Two-loop recursion, Nocedal, Math. Comp. 35, 773 (1980)."""
        q = -forces
        weights = []
        for s, y, rho in reversed(history):
            weight = rho * np.vdot(s, q)
            q = q - weight * y
            weights.append(weight)
        z = q / 70.0
        for (s, y, rho), weight in zip(history, reversed(weights), strict=True):
            z = z + s * (weight - rho * np.vdot(y, z))
        return -z


STEPPERS: dict[str, Callable[[], Stepper]] = {"fire": Fire, "lbfgs": Lbfgs}


class FixedCell:
    """The atoms' positions are what moves."""

    criterion = "largest force on an atom"

    def __init__(self, structure: Structure) -> None:
        self._origin = structure
        self.start: Floats = structure.positions
        """(N, 3), Å."""

    def structure(self, x: Floats) -> Structure:
        """The structure at x (N, 3)."""
        return replace(self._origin, positions=x)

    def forces(self, structure: Structure, prediction: StructurePrediction) -> Floats:
        """(N, 3), eV/Å."""
        return prediction.forces


class VariableCell:
    """Atoms in the frame of the first cell, and N times the deformation gradient, move together."""

    criterion = "largest force on an atom, or row of the virial over the number of atoms"

    def __init__(self, structure: Structure) -> None:
        if not structure.is_bulk:
            raise InvalidRequest("relax.cell: only a structure that is periodic in all three directions has a stress")
        self._origin = structure
        self._factor = float(len(structure))
        self.start: Floats = np.concatenate([structure.positions, self._factor * np.eye(3)])
        """(N + 3, 3), Å."""

    def structure(self, x: Floats) -> Structure:
        """The structure at x (N + 3, 3)."""
        deformation = x[-3:].T / self._factor
        return replace(self._origin, positions=x[:-3] @ deformation, cell=self._origin.cell @ deformation)

    def forces(self, structure: Structure, prediction: StructurePrediction) -> Floats:
        """(N + 3, 3), eV/Å: forces on the atoms, and the virial over N on the deformation gradient."""
        stress = np.full((3, 3), np.nan) if prediction.stress is None else prediction.stress
        deformation = np.linalg.solve(self._origin.cell, structure.cell).T
        virial = np.linalg.solve(deformation, -structure.volume * stress.T).T
        return np.concatenate([prediction.forces @ deformation, virial / self._factor])


@dataclass(frozen=True, slots=True)
class _Point:
    """Where a relaxation stands."""

    x: Floats
    structure: Structure
    prediction: StructurePrediction
    forces: Floats

    @property
    def fmax(self) -> float:
        return longest_row(self.forces)


def longest_row(rows: Floats) -> float:
    """Length of the longest row of (M, 3)."""
    return float(np.sqrt((rows * rows).sum(axis=1).max()))


async def relax(potential: Potential, structure: Structure, options: RelaxOptions) -> Relaxed:
    """Move atoms, and the cell if asked, until no force is left; inside `potential.admit`.

    Not converging is a result: `steps`, or `exploded` with the last geometry that was sound.

    Raises:
        InputError: the structure as given cannot be answered, or its cell cannot be relaxed.
        BackendError: the model failed on the structure as given.
    """
    space = VariableCell(structure) if options.cell else FixedCell(structure)
    first = here = await _evaluate(potential, space, space.start)
    stepper, steps = STEPPERS[options.optimizer](), 0
    fault = _fault(here, first, options)
    while not fault and here.fmax >= options.fmax and steps < options.steps:
        move, stepper = stepper.step(here.x, here.forces)
        steps += 1
        try:
            there = await _evaluate(potential, space, here.x + move)
        except (InvalidStructure, StructureTooLarge, BackendError) as error:
            fault = str(error)
            break
        fault = _fault(there, first, options)
        here = here if fault else there
    converged = here.fmax < options.fmax and not fault
    reason = f"exploded: {fault}" if fault else "converged" if converged else "steps"
    criterion = f"{space.criterion} < {options.fmax:g} eV/Å"
    return Relaxed(here.structure, here.prediction, first.prediction, here.fmax, steps, converged, criterion, reason)


async def _evaluate(potential: Potential, space: FixedCell | VariableCell, x: Floats) -> _Point:
    structure = space.structure(x)
    prediction = await potential.predict(structure)
    return _Point(x, structure, prediction, space.forces(structure, prediction))


def _fault(point: _Point, first: _Point, options: RelaxOptions) -> str:
    """Why a point is not sound; empty where it is."""
    if not point.fmax <= options.max_force:
        atom = int(np.argmax(np.linalg.norm(point.prediction.forces, axis=1)))
        return f"a force of {point.fmax:.3g} eV/Å, over the limit of {options.max_force:g} (largest on atom {atom})"
    if not options.cell:
        return ""
    ratio, (least, most) = point.structure.volume / first.structure.volume, VOLUME_RATIOS
    if least <= ratio <= most:
        return ""
    return f"the cell has {ratio:.3g} times its first volume; between {least:g} and {most:g} is sound"
