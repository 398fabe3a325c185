"""A backend that does as it is told, and structures for it."""

import threading
from collections.abc import Callable, Sequence

import numpy as np

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graph
from app.atoms.prediction import Prediction
from app.atoms.structure import Structure
from app.backends import Backend
from app.backends.pair import PairBackend
from app.errors import OutOfMemory
from app.store.card import ModelCard


def dimer(distance: float) -> Structure:
    return Structure(np.array([18, 18]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]]))


class Scripted:
    """The pair backend with a gate, a record of batch sizes, and structures that it fails on."""

    def __init__(self, card: ModelCard) -> None:
        self._pair = PairBackend(card)
        self.card = card
        self.sizes: list[int] = []
        self.sizes_alone: list[int] = []
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.raise_for: Callable[[Graph], bool] = lambda _: False
        self.nan_for: float | None = None
        self.memory: int | None = None
        self.is_strictly_local = True

    def __call__(self, graph: Graph) -> Prediction:
        self.entered.set()
        assert self.gate.wait(60)
        self.sizes.append(len(graph.n_atoms))
        if self.raise_for(graph):
            raise RuntimeError("no luck")
        if self.memory is not None and len(graph.edge_reverse) > self.memory:
            raise OutOfMemory("no memory left")
        prediction = self._pair(graph)
        if self.nan_for is not None:
            heights = np.maximum.reduceat(
                graph.positions[:, 2], np.cumsum([0, *graph.n_atoms[:-1]])
            )
            prediction.energy[np.isclose(heights, self.nan_for)] = np.nan
        return prediction

    def energies(self, graph: Graph) -> Prediction:
        self.sizes_alone.append(len(graph.n_atoms))
        return self._pair.energies(graph)


def graphs_of(backend: Backend, distances: Sequence[float]) -> list[Graph]:
    return [build_graph(dimer(d), backend.card.cutoff) for d in distances]
