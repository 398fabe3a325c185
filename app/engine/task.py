"""Task: what waits in the queue for an evaluation."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.atoms.graph import Graph
from app.backends import Backend
from app.engine.bisect import OnShortage, Outcome, evaluate
from app.engine.scheduler import Cost, Lane
from app.errors import BackendError

log = logging.getLogger(__name__)


class Task:
    """A structure, or a piece of one, in the queue that wants one evaluation; a subclass may want
    more.

    Attributes:
        graph: what is to be evaluated next.
        derivatives: whether forces and stress are wanted, or energies alone.
        lane: where it waits.
        since: when it was put into the queue.
        future: what the caller awaits.
    """

    def __init__(self, graph: Graph, derivatives: bool = True) -> None:
        self.graph = graph
        self.derivatives = derivatives
        self.lane = Lane.SMALL
        self.since = time.perf_counter()
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @property
    def cost(self) -> Cost:
        """What it takes of a batch."""
        return cost_of(self.graph)

    @property
    def abandoned(self) -> bool:
        """Whether its caller has left."""
        return self.future.cancelled()

    @classmethod
    def absorb(cls, tasks: Sequence[Any], outcomes: Sequence[Outcome]) -> list[Any]:
        """What the caller of each task gets, or its error; None for one that goes on with its new
        graph.

        Called on the worker's thread for all tasks of this class in a batch.
        """
        return list(outcomes)


def evaluated(backend: Backend, tasks: Sequence[Task], on_shortage: OnShortage) -> list[Outcome]:
    """The outcome of each task of a batch; those that want energies alone are evaluated by
    themselves.
    """
    outcomes: dict[int, Outcome] = {}
    for derivatives in (True, False):
        places = [i for i, task in enumerate(tasks) if task.derivatives is derivatives]
        if places:
            found = evaluate(backend, [tasks[i].graph for i in places], on_shortage, derivatives)
            outcomes |= zip(places, found, strict=True)
    return [outcomes[i] for i in range(len(tasks))]


def absorb(tasks: list[Task], outcomes: list[Outcome]) -> list[Any]:
    """What each task has to say after a batch, in the order of the tasks."""
    results: list[Any] = [None] * len(tasks)
    for kind in {type(task) for task in tasks}:
        places = [i for i, task in enumerate(tasks) if type(task) is kind]
        try:
            said = kind.absorb([tasks[i] for i in places], [outcomes[i] for i in places])
        except Exception as error:
            log.exception("a batch of %s could not be taken further", kind.__name__)
            said = [
                BackendError(
                    f"internal error after the evaluation: {type(error).__name__}: {error}"
                )
            ] * len(places)
        for place, result in zip(places, said, strict=True):
            results[place] = result
    return results


def cost_of(graph: Graph) -> Cost:
    """What a graph takes of a batch."""
    atoms, edges = len(graph.numbers), len(graph.edge_reverse)
    if graph.halo.any():  # what is no centre is not evaluated
        atoms = int(
            np.count_nonzero(~graph.halo | (np.bincount(graph.edge_index[0], minlength=atoms) > 0))
        )
    return Cost(atoms, edges)
