"""What the config of every architecture has in common."""

from abc import ABC, abstractmethod

from pydantic import BaseModel, ConfigDict, Field
from torch import nn


class ArchitectureConfig(BaseModel, ABC):
    """Hyperparameters of an architecture; a subclass is known once `app.training.models` imports
    it.

    Attributes:
        architecture: its name, which a subclass narrows to a `Literal`.
        cutoff: Å.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    cutoff: float = Field(default=5.0, gt=0)

    @property
    def receptive_field(self) -> float:
        """Å, how far an atom feels others; the cutoff, unless a model passes messages."""
        return self.cutoff

    @abstractmethod
    def build(self, num_elements: int, force_scale: float, average_neighbors: float) -> nn.Module:
        """A freshly initialised model.

        Its attribute `strictly_local` says what its `forward` takes: `LocalInputs` if true, else
        `ModelInputs`. It gives the (N,) interaction energies in eV, zero for an atom without
        neighbours, and differentiates nothing. Its `species_axes` names the parameters that have an
        entry for each element, its `elementwise` those that are tables rather than matrices.

        Args:
            num_elements: S, number of elements.
            force_scale: eV/Å; root mean square of the training forces' components.
            average_neighbors: mean number of neighbours of an atom.
        """
