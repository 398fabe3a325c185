"""How a backend's budget says where a structure, or a region of one, is cut."""

from collections.abc import Callable

from app.atoms.decomposition import Cutter
from app.atoms.graph import Graph
from app.atoms.neighbors import MAX_EDGES
from app.atoms.regions import Region
from app.backends import Backend
from app.engine.budget import Budget
from app.engine.task import cost_of

PIECE_EDGES = 2_000_000
"""Edges that the search for one piece of a strictly local model may find, those within its halo
included."""


def cutter_of(
    region: Region, backend: Backend, budget: Callable[[], Budget], derivatives: bool
) -> Cutter:
    """What cuts a region into pieces that fit a budget.

    Args:
        region: all of a structure, or some of it.
        backend: what will evaluate them.
        budget: as it is when it is asked for; a shortage of memory may lower it.
        derivatives: whether forces and stress are wanted, or energies alone.
    """
    now, free = budget(), backend.is_strictly_local

    def fits(graph: Graph) -> bool:
        return budget().is_piece(cost_of(graph), free)

    return Cutter(
        region,
        backend.card.cutoff,
        backend.card.receptive_field,
        free,
        now.atoms if free else region.core,
        int(min(now.searched, PIECE_EDGES if free else min(now.capacity, MAX_EDGES))),
        fits,
        derivatives,
    )
