"""The state of a relaxation between two steps: what another one needs in order to go on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Floats, Structure
from app.relax.optimizers import Optimizer

KEPT_EVERY = 5
"""Steps between two states that are told of."""


@dataclass(frozen=True, slots=True, eq=False)
class RelaxationState:
    """Where a relaxation of N atoms is, with all that its next steps depend on.

    Attributes:
        x: (N + 3, 3), Å, rows that are to be evaluated next (see `app.relax.rows`).
        steps: optimiser steps made.
        optimizer: what the optimiser remembers.
        sound: rows of the last sound geometry, (N + 3, 3), Å.
        prediction: for that geometry.
        fmax: eV/Å, what is left of the criterion's quantity there.
        initial: prediction for the structure as it was given.
    """

    x: Floats
    steps: int
    optimizer: Optimizer
    sound: Floats
    prediction: StructurePrediction
    fmax: float
    initial: StructurePrediction


Keep: TypeAlias = Callable[[RelaxationState], None]
"""Is told of a state every few steps, on a worker's thread."""


def structure_at(origin: Structure, x: Floats) -> Structure:
    """The structure at rows x, (N + 3, 3), Å, of a relaxation that began at another one."""
    turned = x[-3:].T / len(origin)
    return replace(origin, positions=x[:-3] @ turned, cell=origin.cell @ turned)
