"""Neighbour lists of moving structures, reused while no atom has moved more than half the skin.

A list holds the pairs within the cutoff and a skin beyond it (Verlet, Phys. Rev. 159, 98 (1967)).
At each step the pairs within the cutoff are picked from it, so that the model sees exactly the
graph that a new search would find.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.atoms.graph import Graph
from app.atoms.ragged import rows_of, starts_of
from app.atoms.structure import MIN_DISTANCE, Booleans, Floats

SKIN = 0.5
"""Å."""


@dataclass(frozen=True, slots=True, eq=False)
class VerletList:
    """The pairs of one structure within cutoff and skin.

    Attributes:
        graph: those pairs, and the positions where they were searched for.
        deformation: (3, 3), the deformation gradient G of that cell.
    """

    graph: Graph
    deformation: Floats


def still_valid(
    lists: Sequence[VerletList], positions: Floats, deformations: Floats, cutoff: float
) -> Booleans:
    """(B,) whether no pair that is missing in a list can be within the cutoff.

    With D = G_old⁻ᵀ G_newᵀ, an atom is at R D + u where it was at R. A pair further than c + s then
    is now further than σ_min(D) (c + s) − 2 max |u|, and σ_min(D) is at least 1 − ‖D − 1‖.

    Args:
        lists: of B structures.
        positions: (N, 3), Å, of all their atoms now.
        deformations: (B, 3, 3), their deformation gradients now.
        cutoff: Å.
    """
    before = np.array([old.deformation for old in lists]).transpose(0, 2, 1)
    change = np.linalg.solve(before, deformations.transpose(0, 2, 1))
    n_atoms = np.array([len(old.graph.numbers) for old in lists])
    of_atom = rows_of(n_atoms)
    then = np.concatenate([old.graph.positions for old in lists])
    moved = positions - np.einsum("na,nab->nb", then, change[of_atom])
    squares = np.einsum("ij,ij->i", moved, moved)
    furthest = np.sqrt(np.maximum.reduceat(squares, starts_of(n_atoms)[:-1]))
    shrunk = 1.0 - np.linalg.norm(change - np.eye(3), axis=(1, 2))
    valid: Booleans = shrunk * (cutoff + SKIN) - 2.0 * furthest >= cutoff
    return valid


def pick(graph: Graph, cutoff: float) -> tuple[Graph, Booleans]:
    """The same atoms with those of their edges that are shorter than the cutoff.

    Args:
        graph: B structures with the edges of their Verlet lists.
        cutoff: Å.

    Returns:
        That graph, and (B,) whether two atoms are too close for any structure.
    """
    vectors = graph.edge_vectors()
    squares = np.einsum("ij,ij->i", vectors, vectors)
    inside = squares < cutoff * cutoff
    rank = starts_of(inside)
    close = graph.edge_index[0, squares < MIN_DISTANCE**2]
    collided = np.zeros(len(graph.n_atoms), dtype=bool)
    collided[graph.atom_structure[close]] = True
    picked = replace(
        graph,
        edge_index=graph.edge_index[:, inside],
        edge_shift=graph.edge_shift[inside],
        edge_reverse=rank[graph.edge_reverse[inside]],
        n_edges=np.diff(rank[starts_of(graph.n_edges)]),
    )
    return picked, collided
