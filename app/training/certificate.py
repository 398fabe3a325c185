"""The certificate: an exported artifact compared with its model in float64, as a server will run it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from app.backends import Backend
from app.backends.layout import dense_edges
from app.errors import CertificateRefused
from app.graph import Graph, collate
from app.neighbors import build_graph
from app.prediction import Prediction, committee, from_atoms
from app.store import Certificate, Deviations, ModelCard
from app.structure import Structure
from app.training import samples
from app.training.derivatives import evaluate
from app.training.models import ModelInputs

TOLERANCES = {
    "float32": Deviations(energy_per_atom=2e-5, forces=5e-4, stress=2e-5),
    "float64": Deviations(energy_per_atom=1e-8, forces=1e-8, stress=1e-8),
}
REPEATS = 3


@dataclass(frozen=True)
class Reference:
    """An eager model in float64, evaluated structure by structure: what an artifact is compared with.

    Attributes:
        model: in float64.
        card: elements and reference energies.
    """

    model: nn.Module
    card: ModelCard

    def __call__(self, graph: Graph) -> Prediction:
        """Energies, forces and stress of one structure."""
        species = self.card.species(graph.numbers)
        energies, forces, virials = evaluate(self.model, model_inputs(graph, self.card))
        return from_atoms(graph, energies.numpy() + self.card.references(species), forces.numpy(), virials.numpy())


def model_inputs(graph: Graph, card: ModelCard, dtype: torch.dtype = torch.float64) -> ModelInputs:
    """A graph as the tensors that a model takes, in one portion."""
    slots = dense_edges(graph)
    feeds = slots.feeds(card.species(graph.numbers), graph.edge_vectors(), np.dtype(np.float64)) | slots.links()
    tensors: dict[str, Tensor] = {name: torch.from_numpy(feeds[name]) for name in ModelInputs._fields}
    return ModelInputs(**{**tensors, "edge_vectors": tensors["edge_vectors"].to(dtype)})


def certify(backend: Backend, models: Sequence[nn.Module], held_out: Sequence[Structure]) -> Certificate:
    """Compare an artifact with its model, or the artifacts of a committee with its members.

    Args:
        backend: the artifact, opened as a server opens it.
        models: the eager model in float64, or all members.
        held_out: structures that the model was not trained on.

    Returns:
        The certificate, with the largest deviations.

    Raises:
        CertificateRefused: a deviation is over the tolerance, or two runs of one batch differ.
    """
    references = [Reference(model, backend.card) for model in models]
    tolerance = TOLERANCES[backend.card.dtype]
    worst = np.zeros(3)
    count = 0
    for batch in _batches(backend.card, held_out):
        graphs = [build_graph(structure, backend.card.cutoff) for structure in batch]
        expected = [committee([reference(graph) for reference in references]) for graph in graphs]
        graph = collate(graphs)
        for predict in (backend, backend.energies):
            found = [predict(graph) for _ in range(REPEATS)]
            _require_same(found, graph)
            worst = np.maximum(worst, _deviations(found[0], expected, graph))
        count += len(batch)
    largest = Deviations(energy_per_atom=worst[0], forces=worst[1], stress=worst[2])
    _require_within(largest, tolerance)
    return Certificate(tolerance=tolerance, largest=largest, systems=count, repeats=REPEATS)


def _batches(card: ModelCard, held_out: Sequence[Structure]) -> list[list[Structure]]:
    """From one atom to a box of thousands of edges, 1 to 64 structures at a time, sizes that were never traced."""
    elements, reach = card.elements, card.cutoff
    clusters = [samples.cluster(elements, n, seed=n) for n in (2, 3, 5, 8, 13, 21, 34, 55)]
    boxes = [samples.box(elements, n, seed=n) for n in (1, 2, 7, 16, 40)]
    slab = samples.box(elements, 24, seed=24, pbc=(True, True, False))
    return [
        *[[atom] for atom in samples.isolated(elements)],
        [*samples.isolated(elements), samples.far_pair(elements, 2 * reach)],
        *[[structure] for structure in (*clusters, *boxes, slab)],
        [*clusters, *samples.isolated(elements), *boxes, slab],
        [samples.box(elements, 400, seed=400)],
        [samples.cluster(elements, 4 + i % 29, seed=100 + i) for i in range(64)],
        *[list(held_out[:n]) for n in (1, 3, 64) if held_out],
    ]


def _deviations(found: Prediction, expected: Sequence[Prediction], graph: Graph) -> np.ndarray:
    """Largest differences of energies per atom, forces and stress; a committee's uncertainties count as well."""

    def off(name: str) -> np.ndarray:
        difference: np.ndarray = getattr(found, name) - np.concatenate([getattr(e, name) for e in expected])
        return difference

    energy, forces, stress = [off("energy") / graph.n_atoms], [], []
    if found.energy_std is not None:
        energy.append(off("energy_std") / graph.n_atoms)
    if found.forces is not None:
        forces.append(off("forces"))
        stress.append(off("stress")[graph.pbc.all(axis=1)])
    if found.forces_std is not None:
        forces.append(off("forces_std"))
    parts = (energy, forces, stress)
    return np.array([np.max([np.abs(one).max(initial=0.0) for one in part], initial=0.0) for part in parts])


def _require_same(found: Sequence[Prediction], graph: Graph) -> None:
    first = found[0]
    for other in found[1:]:
        for name, unit in (("energies", "eV"), ("forces", "eV/Å")):
            one, two = getattr(first, name), getattr(other, name)
            if one is not None and not np.array_equal(one, two):
                difference = np.abs(one - two).max()
                batch = f"one batch of {len(graph.n_atoms)} structures"
                raise CertificateRefused(f"two runs of {batch} differ by {difference:.1e} {unit}: a race")


def _require_within(largest: Deviations, tolerance: Deviations) -> None:
    over = [
        f"{name} {value:.2e} (tolerance {getattr(tolerance, name):.0e})"
        for name, value in largest
        if not value <= getattr(tolerance, name)
    ]
    if over:
        raise CertificateRefused(f"the artifact deviates from its model: {'; '.join(over)}")
