"""What the config of every architecture has in common."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.training.models.network import Network


class ArchitectureConfig(BaseModel, ABC):
    """Hyperparameters of an architecture; a subclass is known once `app.training.models` imports
    it.

    Attributes:
        architecture: its name, which a subclass narrows to a `Literal`.
        cutoff: Å.
        takes_charge: whether the total charge of a structure is an input.
        repulsion: what is added at short range: `zbl` (`app.training.models.repulsion`) or nothing.
        binding: whether the mean binding energy of each element's atoms, as in the training frames,
            is added (`app.training.models.binding`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    cutoff: float = Field(default=5.0, gt=0)
    takes_charge: bool = False
    repulsion: Literal["zbl", "none"] = "none"
    binding: bool = False

    can_take_charge: ClassVar[bool] = False
    widths: ClassVar[tuple[str, ...]] = ()
    """The hyperparameters that `app.training.models.widening` can enlarge."""

    @model_validator(mode="after")
    def _takes_what_it_can(self) -> Self:
        if self.takes_charge and not self.can_take_charge:
            raise ValueError(f"takes_charge: {self.architecture} cannot; allegro can")
        return self

    @property
    def receptive_field(self) -> float:
        """Å, how far an atom feels others; the cutoff, unless a model passes messages."""
        return self.cutoff

    @abstractmethod
    def build(self, num_elements: int, force_scale: float, average_neighbors: float) -> Network:
        """A freshly initialised model.

        Args:
            num_elements: S, number of elements.
            force_scale: eV/Å; root mean square of the training forces' components.
            average_neighbors: mean number of neighbours of an atom.
        """
