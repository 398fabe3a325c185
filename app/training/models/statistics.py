"""What a model takes from its training data."""

from pydantic import BaseModel, ConfigDict, Field

from app.store.training_range import TrainingRange


class Statistics(BaseModel):
    """What a model takes from its training data.

    Attributes:
        elements: chemical symbols, in the order of the species index.
        atomic_energies: eV, reference energy of an atom of each element; added outside the model.
        lone_ions: eV, energies of single charged atoms in the data, by element and charge.
        charge_energies: eV, mean energy of a total charge; added outside the model.
        binding_energies: eV, mean binding energy of an atom of each element, where the model adds it.
        force_scale: eV/Å, root mean square of the training forces' components.
        average_neighbors: mean number of neighbours of an atom.
        trained_on: sizes and distances in the data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    elements: tuple[str, ...] = Field(min_length=1)
    atomic_energies: dict[str, float]
    lone_ions: dict[str, dict[int, float]] = Field(default_factory=dict)
    charge_energies: dict[int, float] = Field(default_factory=dict)
    binding_energies: dict[str, float] = Field(default_factory=dict)
    force_scale: float = Field(gt=0)
    average_neighbors: float = Field(gt=0)
    trained_on: TrainingRange | None = None
