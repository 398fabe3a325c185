"""What a model is given: a graph in the dense edge layout, as tensors."""

from typing import NamedTuple

import torch
from torch import Tensor


class LocalInputs(NamedTuple):
    """What a strictly local model needs of a graph; its atoms can be evaluated in any portions.

    Attributes:
        species: (N,) index into the model's elements.
        neighbor_species: (N, K) the neighbours' species; anything valid where padded.
        edge_vectors: (N, K, 3), Å, from each centre to its neighbours; anything where padded.
        mask: (N, K) whether the slot holds an edge.
        charge: (N,) total charge of the structure to which each atom belongs, in elementary
            charges; None where the model takes none.
    """

    species: Tensor
    neighbor_species: Tensor
    edge_vectors: Tensor
    mask: Tensor
    charge: Tensor | None = None


class ModelInputs(NamedTuple):
    """A whole graph, as `app.backends.layout` lays it out.

    Attributes:
        species: (N,) index into the model's elements.
        edge_vectors: (N, K, 3), Å, from each centre to its neighbours; anything where padded.
        neighbors: (N, K) atom index of each neighbour.
        mask: (N, K) whether the slot holds an edge.
        reverse: (N, K) flat slot of each reverse edge; the slot itself where padded.
        charge: (N,) as in `LocalInputs`.
    """

    species: Tensor
    edge_vectors: Tensor
    neighbors: Tensor
    mask: Tensor
    reverse: Tensor
    charge: Tensor | None = None

    def to(self, device: torch.device) -> "ModelInputs":
        """The same on a device."""
        given = {name: t for name, t in self._asdict().items() if t is not None}
        return ModelInputs(**{name: tensor.to(device) for name, tensor in given.items()})

    def local(self) -> LocalInputs:
        """The part that a strictly local model takes."""
        neighbor_species = self.species.index_select(0, self.neighbors.flatten()).reshape(
            self.neighbors.shape
        )
        return LocalInputs(
            self.species, neighbor_species, self.edge_vectors, self.mask, self.charge
        )
