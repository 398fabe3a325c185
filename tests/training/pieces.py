"""A structure whose receptive fields leave room for pieces, and its evaluation in pieces."""

import numpy as np

from app.atoms.decomposition import Assembly, Cutter
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction, split
from app.atoms.regions import Region
from app.atoms.structure import Structure
from app.backends import Backend
from app.space.evaluator import Evaluator
from app.space.structure import Space


def sheet() -> Structure:
    """A periodic layer, larger than a receptive field and its halo along one side."""
    rng = np.random.default_rng(3)
    sites = 3.4 * np.array([[i, j, 0.0] for i in range(14) for j in range(2)])
    numbers = rng.choice([1, 6, 7, 8], len(sites))
    cell = 3.4 * np.diag([14.0, 2.0, 20.0])
    return Structure(numbers, sites + rng.uniform(-0.3, 0.3, sites.shape), cell, np.True_)


def in_pieces(
    backend: Backend, structure: Structure, derivatives: bool = True
) -> StructurePrediction:
    """Its prediction, assembled from pieces."""
    card = backend.card
    cutter = Cutter(
        Region.of(structure),
        card.cutoff,
        card.receptive_field,
        False,
        7,
        10**6,
        lambda _: True,
        derivatives,
    )
    whole = Assembly(len(structure), False)
    while (piece := cutter.next()) is not None:
        answer = backend(piece.graph) if derivatives else backend.energies(piece.graph)
        whole.add(piece, split(answer, piece.graph)[0])
    return whole.prediction()


def in_regions(
    backend: Backend, structure: Structure, derivatives: bool = True
) -> StructurePrediction:
    """Its prediction, assembled from regions that workers would have."""
    space = Space(backend.card, False, ThreeWorkers(backend))
    return space.evaluate(structure, derivatives)


class ThreeWorkers(Evaluator):
    """One that divides structures as three would."""

    workers = 3


def at_once(backend: Backend, structure: Structure) -> StructurePrediction:
    """Its prediction, evaluated as a whole."""
    graph = build_graph(structure, backend.card.cutoff)
    return split(backend(graph), graph)[0]
