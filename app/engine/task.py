"""Task: what waits in the queue for an evaluation, and how a batch of them goes on."""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeAlias, TypeVar

import numpy as np

from app.atoms.graph import Graph
from app.atoms.prediction import StructurePrediction
from app.backends import Backend
from app.engine.bisect import OnShortage, Outcome, evaluate
from app.engine.budget import Cost
from app.engine.scheduler import Lane
from app.errors import BackendError, EquipotError

log = logging.getLogger(__name__)

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Goes:
    """The task goes on: its new graph waits for a batch of its own."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[R_co]):
    """The task is over.

    Attributes:
        outcome: what its caller gets, or the error that is raised there.
    """

    outcome: R_co | EquipotError


Step: TypeAlias = Goes | Ended[R_co]


class Task(ABC, Generic[R_co]):
    """A structure, or a piece of one, in the queue; `R_co` is what its caller gets in the end.

    Attributes:
        cost: what its graph takes of a batch.
        caller: for whom; callers take turns.
        derivatives: whether forces and stress are wanted, or energies alone.
        lane: where it waits.
        since: when it was put into the queue.
        evaluation: when its last one began and ended; None before.
        future: what the caller awaits.
    """

    def __init__(self, graph: Graph, caller: Hashable, derivatives: bool = True) -> None:
        self.graph = graph
        self.caller = caller
        self.derivatives = derivatives
        self.lane = Lane.SMALL
        self.since = time.perf_counter()
        self.evaluation: tuple[float, float] | None = None
        self.future: asyncio.Future[R_co] = asyncio.get_running_loop().create_future()

    @property
    def graph(self) -> Graph:
        """What is to be evaluated next."""
        return self._graph

    @graph.setter
    def graph(self, graph: Graph) -> None:
        self._graph = graph
        self.cost = cost_of(graph)

    @property
    def abandoned(self) -> bool:
        """Whether its caller has left."""
        return self.future.cancelled()

    @classmethod
    @abstractmethod
    def advance(cls, tasks: Sequence[Self], outcomes: Sequence[Outcome]) -> list[Step[R_co]]:
        """What becomes of each task of this class in a batch, now that its graph is evaluated.

        Called on the worker's thread.
        """


class SinglePoint(Task[StructurePrediction]):
    """A task that wants one evaluation and nothing more."""

    @classmethod
    def advance(
        cls, tasks: Sequence[Self], outcomes: Sequence[Outcome]
    ) -> list[Step[StructurePrediction]]:
        """Each task ends with its outcome."""
        return [Ended(outcome) for outcome in outcomes]


def evaluate_tasks(
    backend: Backend, tasks: Sequence[Task[object]], on_shortage: OnShortage
) -> list[Outcome]:
    """The outcome of each task of a batch.

    Those that want energies alone are evaluated by themselves.
    """
    outcomes: dict[int, Outcome] = {}
    for derivatives in (True, False):
        members = [i for i, task in enumerate(tasks) if task.derivatives is derivatives]
        if members:
            graphs = [tasks[i].graph for i in members]
            kind = evaluate(backend, graphs, on_shortage, derivatives)
            outcomes |= zip(members, kind, strict=True)
    return [outcomes[i] for i in range(len(tasks))]


def advance(tasks: Sequence[Task[object]], outcomes: Sequence[Outcome]) -> list[Step[object]]:
    """What becomes of each task after a batch; a class that fails costs others nothing."""
    steps: dict[int, Step[object]] = {}
    for kind in {type(task) for task in tasks}:
        members = [i for i, task in enumerate(tasks) if type(task) is kind]
        own = [tasks[i] for i in members], [outcomes[i] for i in members]
        try:
            steps |= zip(members, kind.advance(*own), strict=True)
        except Exception as error:
            log.exception("a batch of %s could not be taken further", kind.__name__)
            text = f"internal error after the evaluation: {type(error).__name__}: {error}"
            steps |= dict.fromkeys(members, Ended(BackendError(text)))
    return [steps[i] for i in range(len(tasks))]


def cost_of(graph: Graph) -> Cost:
    """What a graph takes of a batch."""
    atoms, edges = len(graph.numbers), len(graph.edge_reverse)
    if graph.halo.any():  # what is no centre is not evaluated
        is_centre = np.bincount(graph.edge_index[0], minlength=atoms) > 0
        atoms = int(np.count_nonzero(~graph.halo | is_centre))
    return Cost(atoms, edges)
