"""The certificate: an exported artifact compared with its model in float64, as a server will run
it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from app.atoms.graph import Graph, collate
from app.atoms.neighbors import build_graph
from app.atoms.prediction import (
    AtomErrors,
    Prediction,
    StructurePrediction,
    committee,
    from_atoms,
    split,
)
from app.atoms.structure import Floats, Structure
from app.backends import Backend
from app.backends.layout import dense_edges
from app.errors import CertificateRefused
from app.store.card import ModelCard
from app.store.certificate import Certificate, Deviations
from app.training.export import synthetic as samples
from app.training.models import ModelInputs
from app.training.models.derivatives import evaluate
from app.training.models.network import Network
from app.training.models.uncertainty import WithUncertainty

TOLERANCES = {
    "float32": Deviations(energy_per_atom=2e-5, forces=5e-4, stress=2e-5),
    "float64": Deviations(energy_per_atom=1e-8, forces=1e-8, stress=1e-8),
}
REPEATS = 3


@dataclass(frozen=True)
class EagerModel:
    """An eager model in float64, evaluated structure by structure: what an artifact is compared
    with.

    Attributes:
        model: in float64.
        card: elements and reference energies.
    """

    model: Network
    card: ModelCard

    def __call__(self, graph: Graph) -> Prediction:
        """Energies, forces and stress of one structure."""
        inputs = model_inputs(graph, self.card)
        energies, forces, virials = evaluate(self.model, inputs)
        return from_atoms(
            graph,
            energies.numpy() + self.card.references(graph),
            forces.numpy(),
            virials.numpy(),
            atom_errors(self.model, inputs),
        )


def atom_errors(model: Network, inputs: ModelInputs) -> AtomErrors | None:
    """What a model estimates of its errors, if it does."""
    if not isinstance(model, WithUncertainty):
        return None
    taken = inputs.local() if model.strictly_local else inputs
    with torch.no_grad():
        estimates = model.errors(model.features(taken), taken)
    return AtomErrors(*(values.numpy().astype(np.float64) for values in estimates))


def model_inputs(graph: Graph, card: ModelCard, dtype: torch.dtype = torch.float64) -> ModelInputs:
    """A graph as the tensors that a model takes, in one portion."""
    slots = dense_edges(graph)
    precise = np.dtype(np.float64)
    feeds = (
        slots.feeds(card.species(graph.numbers), graph.edge_vectors(), precise)
        | slots.links()
        | slots.charges(precise)
    )
    tensors: dict[str, Tensor] = {
        name: torch.from_numpy(feeds[name]) for name in ModelInputs._fields
    }
    exact = {name: tensors[name].to(dtype) for name in ("edge_vectors", "charge")}
    return ModelInputs(**{**tensors, **exact})


def certify(
    backend: Backend,
    models: Sequence[Network],
    held_out: Sequence[Structure],
    what: str = "the artifact",
) -> Certificate:
    """Compare an artifact with its model, or the artifacts of a committee with its members.

    Args:
        backend: the artifact, opened as a server opens it.
        models: the eager model in float64, or all members.
        held_out: structures that the model was not trained on.
        what: is compared, for the error.

    Returns:
        The certificate, with the largest deviations.

    Raises:
        CertificateRefused: a deviation is over the tolerance, or two runs of one batch differ.
    """
    references = [EagerModel(model, backend.card) for model in models]
    synthetic = [_charged(batch, backend.card) for batch in _synthetic(backend.card)]
    frames = [held_out[:n] for n in (1, 3, 64) if held_out]
    of_synthetic = _largest(
        [_compare(backend, references, batch, in_proportion=True) for batch in synthetic]
    )
    of_frames = _largest(
        [_compare(backend, references, batch, in_proportion=False) for batch in frames]
    )
    worst = _largest([of_synthetic, of_frames])
    tolerance = TOLERANCES[backend.card.dtype]
    _require_within(worst, tolerance, what)
    return Certificate(
        tolerance=tolerance,
        largest=_named(worst),
        held_out=_named(of_frames) if frames else None,
        systems=sum(len(batch) for batch in (*synthetic, *frames)),
        repeats=REPEATS,
    )


def _synthetic(card: ModelCard) -> list[list[Structure]]:
    """From one atom to a box of thousands of edges, 1 to 64 structures at a time, sizes that were
    never traced.
    """
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
    ]


def _charged(batch: list[Structure], card: ModelCard) -> list[Structure]:
    """The same structures with charges, where the model takes them; lone atoms stay neutral."""
    if not card.takes_charge:
        return batch
    return [
        replace(structure, charge=(0, 1, -1, 2)[place % 4]) if len(structure) > 1 else structure
        for place, structure in enumerate(batch, start=len(batch[0]))
    ]


def _compare(
    backend: Backend,
    references: Sequence[EagerModel],
    batch: Sequence[Structure],
    in_proportion: bool,
) -> Floats:
    """(3,): largest deviations of one batch, and of its energies alone."""
    graphs = [build_graph(structure, backend.card.cutoff) for structure in batch]
    expected = [
        split(committee([reference(graph) for reference in references]), graph)[0]
        for graph in graphs
    ]
    pairs = zip(expected, graphs, strict=True)
    divisors = [scales(*pair, backend.card) if in_proportion else np.ones(3) for pair in pairs]
    together = collate(graphs)
    worst = []
    for predict in (backend, backend.energies):
        answers = [predict(together) for _ in range(REPEATS)]
        _require_same(answers, together)
        predicted = split(answers[0], together)
        worst += [
            _deviations(*pair) / divisor
            for *pair, divisor in zip(predicted, expected, divisors, strict=True)
        ]
    return _largest(worst)


def scales(expected: StructurePrediction, graph: Graph, card: ModelCard) -> Floats:
    """(3,): by what the deviations of a synthetic structure are divided.

    Far from its training data a model says anything, absurd forces too, and rounding is in
    proportion to them: the largest energy of an atom without its reference (eV), force (eV/Å) and
    stress (eV/Å³), where these exceed 1.
    """
    shares = expected.energies - card.references(graph)
    parts = (shares, expected.forces, expected.stress)
    return np.array([1.0 if part is None else np.abs(part).max(initial=1.0) for part in parts])


def _deviations(predicted: StructurePrediction, expected: StructurePrediction) -> Floats:
    """(3,): largest differences of energies per atom, forces and stress; a committee's
    uncertainties count as well, and estimated errors, these in proportion.
    """

    def off(*names: str, in_proportion: bool = False) -> float:
        pairs = [(getattr(predicted, name), getattr(expected, name)) for name in names]
        differences = [
            (np.abs(one - two) / (np.maximum(1.0, np.abs(two)) if in_proportion else 1.0)).max()
            for one, two in pairs
            if one is not None and two is not None
        ]
        return float(np.max(differences, initial=0.0))

    estimated = expected.novelty is not None
    return np.array(
        [
            max(off("energy"), off("energy_std", in_proportion=estimated)) / len(expected.energies),
            max(off("forces"), off("forces_std", in_proportion=estimated)),
            off("stress"),
        ]
    )


def _largest(deviations: Sequence[Floats]) -> Floats:
    """(3,): the largest of each kind; not a number where one is not."""
    worst: Floats = np.array(deviations).reshape(-1, 3).max(axis=0, initial=0.0)
    return worst


def _named(worst: Floats) -> Deviations:
    return Deviations(energy_per_atom=worst[0], forces=worst[1], stress=worst[2])


def _require_same(answers: Sequence[Prediction], graph: Graph) -> None:
    first = answers[0]
    for other in answers[1:]:
        for name, unit in (("energies", "eV"), ("forces", "eV/Å")):
            one, two = getattr(first, name), getattr(other, name)
            if one is not None and not np.array_equal(one, two, equal_nan=True):
                difference = np.abs(one - two).max()
                batch = f"one batch of {len(graph.n_atoms)} structures"
                raise CertificateRefused(
                    f"two runs of {batch} differ by {difference:.1e} {unit}: a race"
                )


def _require_within(worst: Floats, tolerance: Deviations, what: str) -> None:
    over = [
        f"{name} {value:.2e} (tolerance {allowed:.0e})"
        for (name, allowed), value in zip(tolerance, worst, strict=True)
        if not value <= allowed
    ]
    if over:
        raise CertificateRefused(f"{what} deviates from its model: {'; '.join(over)}")
