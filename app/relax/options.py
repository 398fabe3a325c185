"""What a relaxation is asked for, and where it ended."""

from dataclasses import dataclass
from typing import Literal

from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.protocol.schemas import Axis, CellFreedom


@dataclass(frozen=True, slots=True)
class RelaxOptions:
    """What to relax, how far, and when to stop.

    Attributes:
        fmax: eV/Å; converged when no row of the forces is longer.
        steps: the most optimiser steps.
        optimizer: `fire` or `lbfgs`.
        cell: what of the cell may change: nothing, everything, its volume only, or its edges'
            lengths but no angle.
        fixed_axes: lattice vectors that keep length and direction while the others change.
        pressure: eV/Å³, under which the cell is relaxed.
        max_force: eV/Å; a longer force means that the structure has exploded.
        max_displacement: Å; an atom that is further from its start has flown off.
    """

    fmax: float = 0.05
    steps: int = 200
    optimizer: Literal["fire", "lbfgs"] = "fire"
    cell: CellFreedom = "fixed"
    fixed_axes: tuple[Axis, ...] = ()
    pressure: float = 0.0
    max_force: float = 1000.0
    max_displacement: float = 50.0


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
