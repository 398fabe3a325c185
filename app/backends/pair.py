"""PairBackend: Lennard-Jones in numpy float64; its right answer is known without a network."""

import numpy as np

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction, from_atoms
from app.atoms.structure import Floats, Integers
from app.errors import BackendError
from app.store.card import ModelCard

ONSET = 0.66
"""Where the smooth cutoff starts, as a share of the cutoff; the default of ASE's `LennardJones`."""


class PairBackend:
    """Lennard-Jones between all pairs within the cutoff, with a smooth end.

    u(r) = s(r²) · 4ε[(σ/r)¹² − (σ/r)⁶] with, between the squared onset a and the squared cutoff b,
    s(x) = (b − x)²(b + 2x − 3a) / (b − a)³: energy and forces are continuous. It is the potential
    of ASE's `LennardJones(smooth=True)`, ase/calculators/lj.py. Unlike elements mix by Lorentz's
    and Berthelot's rules, σ_ij = (σ_i + σ_j)/2 and ε_ij = √(ε_i ε_j). Half of each pair's energy
    goes to either atom.
    """

    def __init__(self, card: ModelCard) -> None:
        """Tabulate the mixed parameters.

        Raises:
            BackendError: the card gives no parameters for one of its elements.
        """
        missing = [symbol for symbol in card.elements if symbol not in card.pair]
        if missing:
            raise BackendError(
                f"model '{card.name}' has no pair parameters for {', '.join(missing)}"
            )
        self._card = card
        sigma = np.array([card.pair[symbol].sigma for symbol in card.elements])
        epsilon = np.array([card.pair[symbol].epsilon for symbol in card.elements])
        self._sigma = 0.5 * (sigma[:, None] + sigma)
        self._epsilon = np.sqrt(epsilon[:, None] * epsilon)

    @property
    def runtime(self) -> str:
        """Name and version of what computes."""
        return f"numpy {np.__version__}"

    @property
    def is_strictly_local(self) -> bool:
        """Always: an atom's share of the energy depends on its own edges alone."""
        return True

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    def __call__(self, graph: Graph) -> Prediction:
        """Energies, forces and stress of every structure of the graph.

        Raises:
            UnsupportedElement: an atom of an element that the card does not list.
        """
        vectors = graph.edge_vectors()
        energies, slopes = self._evaluate(graph, vectors)
        gradients = slopes[:, None] * vectors  # (E, 3) | eV/Å | du/dr_ij
        return from_atoms(
            graph,
            energies,
            graph.sum_by_centre(gradients),
            0.5 * graph.sum_by_centre(gradients[:, :, None] * vectors[:, None, :]),
        )

    def energies(self, graph: Graph) -> Prediction:
        """Energies of every structure of the graph, without derivatives.

        Raises:
            UnsupportedElement: an atom of an element that the card does not list.
        """
        return from_atoms(graph, self._evaluate(graph, graph.edge_vectors())[0])

    def _evaluate(self, graph: Graph, vectors: Floats) -> tuple[Floats, Floats]:
        """(N,) eV, the atoms' energies, and (E,) du/dr / r in eV/Å² of each edge."""
        species = self._card.species(graph.numbers)
        pairs, slopes = self._pairs(
            np.einsum("ea,ea->e", vectors, vectors), *species[graph.edge_index]
        )
        return self._card.references(graph) + 0.5 * graph.sum_by_centre(pairs), slopes

    def _pairs(self, squares: Floats, species: Integers, others: Integers) -> tuple[Floats, Floats]:
        """(E,) energy, eV, and (E,) du/dr / r, eV/Å², of each pair, from squared distances, Å²."""
        epsilon = self._epsilon[species, others]
        c6 = (self._sigma[species, others] ** 2 / squares) ** 3
        energy = 4.0 * epsilon * (c6**2 - c6)
        slope = -24.0 * epsilon * (2.0 * c6**2 - c6) / squares
        envelope, envelope_slope = _envelope(squares, self._card.cutoff)
        return envelope * energy, envelope * slope + 2.0 * envelope_slope * energy


def _envelope(squares: Floats, cutoff: float) -> tuple[Floats, Floats]:
    """s(x) and ds/dx in 1/Å² of squared distances x: 1 up to the onset, 0 from the cutoff."""
    a, b = (ONSET * cutoff) ** 2, cutoff**2
    x = np.clip(squares, a, b)
    return (b - x) ** 2 * (b + 2.0 * x - 3.0 * a) / (b - a) ** 3, 6.0 * (b - x) * (a - x) / (
        b - a
    ) ** 3
