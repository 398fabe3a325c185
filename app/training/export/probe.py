"""The probe of a model: a structure of all its elements, and what the model in float64 says of
it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from app.atoms.neighbors import build_graph
from app.atoms.prediction import committee, split
from app.atoms.structure import Floats
from app.store.card import ModelCard
from app.store.certificate import Deviations, Probe
from app.training.export.certificate import EagerModel, scales
from app.training.export.synthetic import of_every_element
from app.training.models.network import Network

SEED = 1
CHARGE = 1


def probe_of(models: Sequence[Network], card: ModelCard, tolerance: Deviations) -> Probe:
    """The probe of a model, or of a committee.

    Args:
        models: in float64, one or all members.
        card: elements, cutoff and reference energies.
        tolerance: of the certificate.
    """
    structure = of_every_element(card.elements, SEED)
    if card.takes_charge:
        structure = replace(structure, charge=CHARGE)
    graph = build_graph(structure, card.cutoff)
    (answer,) = split(committee([EagerModel(model, card)(graph) for model in models]), graph)
    assert answer.forces is not None
    return Probe(
        numbers=tuple(structure.numbers.tolist()),
        positions=_rows(structure.positions),
        cell=_rows(structure.cell),
        pbc=tuple(structure.pbc.tolist()),
        charge=structure.charge,
        energy=answer.energy,
        forces=_rows(answer.forces),
        tolerance=_scaled(tolerance, scales(answer, graph, card)),
    )


def _scaled(tolerance: Deviations, by: Floats) -> Deviations:
    """Energy per atom, forces and stress, each multiplied."""
    values = np.array([value for _, value in tolerance]) * by
    return Deviations(**dict(zip(Deviations.model_fields, values.tolist(), strict=True)))


def _rows(array: Floats) -> tuple[tuple[float, float, float], ...]:
    return tuple(tuple(row) for row in array.tolist())
