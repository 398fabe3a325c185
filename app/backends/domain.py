"""Domain: what a structure has that a model's training data never held."""

import numpy as np
from ase.data import chemical_symbols

from app.atoms.graph import Graph
from app.atoms.warnings import AnswerWarning
from app.store.card import ModelCard, TrainingRange

TOLERANCE = 0.02
"""Å by which a distance may be beyond those of the training data before it is told."""
TOLD = 3
"""Pairs and atoms that a warning names."""


def doubts(card: ModelCard, graph: Graph) -> tuple[AnswerWarning, ...]:
    """Warnings about one structure; none where the card does not know its data.

    Args:
        card: of the model.
        graph: of the structure, within the model's cutoff.
    """
    trained_on = card.trained_on
    if trained_on is None:
        return ()
    warnings = []
    if len(graph.numbers) > trained_on.most_atoms and not graph.pbc.any():
        warnings.append(
            AnswerWarning(
                "extrapolated_size",
                f"the structure has {len(graph.numbers)} atoms; the largest that the model was "
                f"trained on has {trained_on.most_atoms}",
            )
        )
    told = [*_close_pairs(trained_on, graph), *_lonely_atoms(trained_on, graph, card.cutoff)]
    if told:
        more = f", and {len(told) - TOLD} more" if len(told) > TOLD else ""
        warnings.append(AnswerWarning("extrapolated_distance", "; ".join(told[:TOLD]) + more))
    return tuple(warnings)


def _close_pairs(trained_on: TrainingRange, graph: Graph) -> list[str]:
    """Pairs that are closer than any of their elements in the data, or that are not in them."""
    i, j = graph.edge_index
    once = i <= j
    vectors = graph.edge_vectors()[once]
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    pairs = np.sort(graph.numbers[graph.edge_index[:, once]], axis=0)[::-1]
    told = []
    for high, low in np.unique(pairs, axis=1).T.tolist():
        name = f"{chemical_symbols[high]}-{chemical_symbols[low]}"
        least = trained_on.closest.get(name)
        own = np.flatnonzero((pairs[0] == high) & (pairs[1] == low))
        edge = own[lengths[own].argmin()]
        where = f"atoms {i[once][edge]} and {j[once][edge]}"
        if least is None:
            told.append(f"{where} are near, and no pair {name} is in the training data")
        elif lengths[edge] < least - TOLERANCE:
            told.append(
                f"{where} ({name}) are {lengths[edge]:.2f} Å apart; the training data begin at "
                f"{least:.2f} Å"
            )
    return told


def _lonely_atoms(trained_on: TrainingRange, graph: Graph, cutoff: float) -> list[str]:
    """Atoms further from all others than any of their element in the data."""
    if len(graph.numbers) == 1:
        return []
    vectors = graph.edge_vectors()
    nearest = np.full(len(graph.numbers), np.inf)
    np.minimum.at(nearest, graph.edge_index[0], np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))
    told = []
    for number in np.unique(graph.numbers).tolist():
        symbol = chemical_symbols[number]
        own = np.flatnonzero(graph.numbers == number)
        atom = own[nearest[own].argmax()]
        if nearest[atom] > trained_on.farthest.get(symbol, 0.0) + TOLERANCE:
            distance = f"{nearest[atom]:.2f}" if np.isfinite(nearest[atom]) else f"over {cutoff:g}"
            told.append(
                f"atom {atom} ({symbol}) is {distance} Å from its nearest neighbour; in the "
                f"training data at most {trained_on.farthest.get(symbol, 0.0):.2f} Å"
            )
    return told
