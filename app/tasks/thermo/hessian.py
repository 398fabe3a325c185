"""Hessian: second derivatives of the energy, from forces on displaced copies."""

from dataclasses import dataclass

import numpy as np

from app.atoms.structure import Booleans, Floats, Structure
from app.tasks.asking import Asking

COPIES = "displaced copies"


@dataclass(frozen=True, slots=True, eq=False)
class Hessian:
    """Second derivatives of the energy by the positions of F atoms.

    Attributes:
        values: (3F, 3F), eV/Å², symmetric.
        asymmetry: eV/Å², the largest difference between elements that should be the same, before
            they were made so.
        copies: evaluations that it took.
    """

    values: Floats
    asymmetry: float
    copies: int


def check_copies(asking: Asking, free: Booleans) -> None:
    """Whether one structure's answer may take the Hessian of so many atoms.

    Raises:
        StructureTooLarge: it may not.
    """
    asking.check(6 * int(free.sum()), COPIES)


async def hessian(
    asking: Asking, structure: Structure, free: Booleans, rigid: Floats, displacement: float
) -> Hessian:
    """The Hessian at a geometry, by central differences: −(F(+h) − F(−h)) / 2h.

    Args:
        asking: the model.
        structure: N atoms.
        free: (N,), which of them are the F that are displaced.
        rigid: (3F, K), motions that cost nothing; where there are no others, nothing is evaluated.
        displacement: h, Å.

    Raises:
        EquipotError: one of the copies has no answer.
    """
    size = len(rigid)
    if rigid.shape[1] == size:
        return Hessian(np.zeros((size, size)), 0.0, 0)
    copies = [
        structure.at(_moved(structure.positions, atom, axis, step))
        for atom in np.flatnonzero(free).tolist()
        for axis in range(3)
        for step in (displacement, -displacement)
    ]
    predictions = await asking.predict(copies, COPIES)
    forces = np.array([p.forces[free].ravel() for p in predictions if p.forces is not None])
    raw = (forces[1::2] - forces[0::2]) / (2.0 * displacement)
    return Hessian(0.5 * (raw + raw.T), float(np.abs(raw - raw.T).max()), len(copies))


def _moved(positions: Floats, atom: int, axis: int, step: float) -> Floats:
    moved = positions.copy()
    moved[atom, axis] += step
    return moved
