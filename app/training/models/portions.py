"""A strictly local model on some of a batch's atoms at a time.

The slots of a batch are as many for each atom as the one with the most neighbours needs. Atoms with
about as many neighbours, taken together, leave fewer slots empty, and their arrays stay in the
processor's cache; each portion costs the calls of all operators once more.
"""

import torch
from torch import Tensor

from app.training.models.inputs import LocalInputs
from app.training.models.network import Network

EDGES = 1500
"""Edges of a portion, about: a quarter more or less makes a training step hardly slower."""


def energies_in_portions(model: Network, inputs: LocalInputs) -> Tensor:
    """(N,) energies, eV, as `model(inputs)` gives them up to the order of sums.

    On a CUDA device they are computed at once: there, calls cost more than empty slots.
    """
    if inputs.mask.is_cuda:
        at_once: Tensor = model(inputs)
        return at_once
    degree, order = inputs.mask.sum(1).sort(stable=True)
    parts = torch.split(order, portion_sizes(degree))
    if len(parts) == 1:
        whole: Tensor = model(inputs)
        return whole
    energies = torch.cat([model(_portion(inputs, atoms)) for atoms in parts])
    return energies.index_select(0, order.argsort())


def portion_sizes(degree: Tensor) -> list[int]:
    """Atoms of each portion, so that all have about as many edges.

    Args:
        degree: (N,) neighbours of each atom, ascending.
    """
    edges = degree.cumsum(0)
    count = max(round(int(edges[-1]) / EDGES), 1)
    targets = edges[-1] * torch.arange(1, count) / count
    ends = [*torch.searchsorted(edges, targets).tolist(), len(degree)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False) if end > start]


def _portion(inputs: LocalInputs, atoms: Tensor) -> LocalInputs:
    """Some atoms, with as many slots as they need."""
    width = max(int(inputs.mask.index_select(0, atoms).sum(1).max()), 1)
    charge = inputs.charge
    return LocalInputs(
        inputs.species.index_select(0, atoms),
        inputs.neighbor_species[:, :width].index_select(0, atoms),
        inputs.edge_vectors[:, :width].index_select(0, atoms),
        inputs.mask[:, :width].index_select(0, atoms),
        None if charge is None else charge.index_select(0, atoms),
    )
