"""How long a job will take: by the pace of those before it, else by the measured speed of the model."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.atoms.structure import Structure
from app.engine.potential import Potential
from app.engine.task import cost_of
from app.errors import EquipotError
from app.jobs.pace import Pace
from app.protocol.request import PredictRequest

SAMPLE = 16
"""Structures whose neighbours are counted."""


class Estimated(NamedTuple):
    """Seconds that a job takes when nothing else is asked, None where that is not known, and what is
    assumed.
    """

    seconds: float | None
    at_most: float | None
    assumes: str | None

    def after(self, seconds: float) -> "Estimated":
        """The same, after geometries of SMILES that take so long."""
        if self.assumes is None or not seconds:
            return self
        told = f"{self.assumes}; {seconds:.3g} s before that for geometries of SMILES, as of some"
        return Estimated(
            None if self.seconds is None else self.seconds + seconds,
            None if self.at_most is None else self.at_most + seconds,
            told,
        )

    @classmethod
    def together(cls, estimates: Sequence["Estimated"]) -> "Estimated":
        """Of structures that have several models, one part after the other."""
        if len(estimates) == 1:
            return estimates[0]
        told = "; ".join(dict.fromkeys(each.assumes for each in estimates if each.assumes))
        seconds = _sum(each.seconds for each in estimates)
        return cls(seconds, _sum(each.at_most for each in estimates), told or None)


async def estimate(
    potential: Potential,
    request: PredictRequest,
    structures: int,
    pace: Pace | None,
    mean_steps: float | None,
) -> Estimated:
    """How long so many structures take that are like those of a request.

    Args:
        potential: the model.
        request: what is asked, with some of the structures.
        structures: how many there are.
        pace: of the jobs before it that asked alike.
        mean_steps: of the relaxations that the model has ended so far.
    """
    if request.task is not None:
        return Estimated(None, None, None)
    if pace is not None and request.structures:
        atoms = request.n_atoms / len(request.structures)
        each = atoms * pace.seconds / pace.work
        mean_steps = pace.evaluations / pace.structures - 1
        basis = f"as quick for each atom as the last {pace}, one service at work"
    elif (own := await _seconds_each(potential, request)) is not None:
        each = own
        basis = "the model alone, in full batches; reading and writing are not counted"
    else:
        return Estimated(None, None, None)
    one = structures * each
    if request.relax is None:
        return Estimated(one, one, basis)
    most = one * (1 + request.relax.steps)
    if mean_steps is None:
        return Estimated(None, most, basis)
    told = f"{basis}; {mean_steps:.0f} steps of a relaxation, the mean of those before"
    return Estimated(min(one * (1 + mean_steps), most), most, told)


async def _seconds_each(potential: Potential, request: PredictRequest) -> float | None:
    """Of one evaluation of one structure in a full batch; the mean over some of them."""
    budget, spent, seen = potential.workers.budget, 0.0, 0
    if not budget.speed.is_known:
        return None
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


def _sum(seconds: Iterable[float | None]) -> float | None:
    """Of all; None where one is not known."""
    known = list(seconds)
    return None if None in known else sum(each for each in known if each is not None)


def _sample(structures: list[Structure]) -> list[Structure]:
    """Some of them, evenly spread."""
    return structures[:: max(1, len(structures) // SAMPLE)][:SAMPLE]
