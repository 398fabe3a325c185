"""How long a job will take, from the measured speed of the model and a few of its structures."""

from typing import NamedTuple

from app.atoms.structure import Structure
from app.engine.potential import Potential
from app.engine.task import cost_of
from app.errors import EquipotError
from app.protocol.request import PredictRequest

SAMPLE = 16
"""Structures whose neighbours are counted."""


class Estimated(NamedTuple):
    """Seconds that a job takes when nothing else is asked; None where that is not known."""

    seconds: float | None
    at_most: float | None


async def estimate(
    potential: Potential, request: PredictRequest, structures: int, mean_steps: float | None
) -> Estimated:
    """How long so many structures take that are like those of a request.

    Args:
        potential: the model.
        request: what is asked, with some of the structures.
        structures: how many there are.
        mean_steps: of the relaxations that the model has ended so far.
    """
    budget = potential.workers.budget
    each = await _seconds_each(potential, request) if budget.speed.is_known else None
    if each is None:
        return Estimated(None, None)
    one = structures * each
    if request.relax is None:
        return Estimated(one, one)
    most = one * (1 + request.relax.steps)
    return Estimated(None if mean_steps is None else min(one * (1 + mean_steps), most), most)


async def _seconds_each(potential: Potential, request: PredictRequest) -> float | None:
    """Of one evaluation of one structure in a full batch; the mean over some of them."""
    budget, spent, seen = potential.workers.budget, 0.0, 0
    for structure in _sample(request.structures):
        try:
            potential.check(structure)
            cost = cost_of(await potential.graphs.graph(structure))
        except EquipotError:
            continue
        fit = min(
            budget.structures,
            max(1, budget.atoms // cost.atoms),
            max(1, budget.edges // max(1, cost.edges)),
        )
        speed = budget.speed
        spent += speed.base / fit + speed.atom * cost.atoms + speed.edge * cost.edges
        seen += 1
    return spent / seen if seen else None


def _sample(structures: list[Structure]) -> list[Structure]:
    """Some of them, evenly spread."""
    return structures[:: max(1, len(structures) // SAMPLE)][:SAMPLE]
