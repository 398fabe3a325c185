"""What the trainer, the export and a fine-tuning know of a network, whatever its architecture."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

SpeciesAxes = Mapping[str, tuple[int, ...]]
"""Of each parameter with an entry for every element: its name, and the axes along which they stand.
"""

Elementwise = tuple[str, ...]
"""How the names of parameters end that have the shape of a matrix but are a table, whose entries
work alone.
"""


class Network(nn.Module, ABC):
    """Maps a graph to the interaction energies of its atoms, and differentiates nothing.

    Attributes:
        strictly_local: whether it takes `LocalInputs`; else it takes `ModelInputs`.
        takes_charge: whether it takes their `charge`.
        species_axes: the parameters that have an entry for each element.
        elementwise: those that are tables rather than matrices.
    """

    strictly_local: bool
    takes_charge: bool = False
    species_axes: SpeciesAxes = MappingProxyType({})
    elementwise: Elementwise = ()

    def set_elements(self, elements: Sequence[str]) -> None:
        """Told once, when the network is built: the chemical symbols of its species, in order. What
        it takes from tables of elements is no weight, and not part of its state.
        """

    def forward(self, inputs: Any) -> Tensor:
        """(N,) interaction energies, eV; zero for an atom without neighbours."""
        return self.read(self.features(inputs), inputs)

    @abstractmethod
    def features(self, inputs: Any) -> Tensor:
        """(N, H), eV: what the last layer makes the energies of, as `read` does."""

    @abstractmethod
    def read(self, features: Tensor, inputs: Any) -> Tensor:
        """(N,) interaction energies, eV, from the (N, H) features."""
