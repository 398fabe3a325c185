"""The architectures: each maps species and edge vectors to per-atom interaction energies."""

from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from app.training.models.allegro import Allegro, AllegroConfig


class ModelInputs(NamedTuple):
    """A graph in the dense edge layout (`app.backends.layout`), as tensors.

    Attributes:
        species: (N,) index into the model's elements.
        edge_vectors: (N, K, 3), Å, from each centre to its neighbours; anything where padded.
        neighbors: (N, K) atom index of each neighbour.
        mask: (N, K) whether the slot holds an edge.
        reverse: (N, K) flat slot of each reverse edge; the slot itself where padded.
    """

    species: Tensor
    edge_vectors: Tensor
    neighbors: Tensor
    mask: Tensor
    reverse: Tensor


class Statistics(BaseModel):
    """What a model takes from its training data.

    Attributes:
        elements: chemical symbols, in the order of the species index.
        atomic_energies: eV, reference energy of an atom of each element; added outside the model.
        force_scale: eV/Å, root mean square of the training forces' components.
        average_neighbors: mean number of neighbours of an atom.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    elements: tuple[str, ...] = Field(min_length=1)
    atomic_energies: dict[str, float]
    force_scale: float = Field(gt=0)
    average_neighbors: float = Field(gt=0)


ModelConfig = AllegroConfig


def build_model(
    config: ModelConfig, statistics: Statistics, dtype: torch.dtype = torch.float32, seed: int = 0
) -> nn.Module:
    """A freshly initialised model.

    Its `forward(species, edge_vectors, neighbors, mask)` gives the (N,) interaction energies in eV, without
    the reference energies of the atoms. It is built in float64 and cast, so that its constants are exact in
    either precision.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Allegro(config, len(statistics.elements), statistics.force_scale, statistics.average_neighbors)
    finally:
        torch.set_default_dtype(before)
    return model.to(dtype)
