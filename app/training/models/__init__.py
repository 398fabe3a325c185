"""The architectures: each maps species and edge vectors to per-atom interaction energies."""

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field

from app.training.models.allegro import Allegro, AllegroConfig
from app.training.models.equiformer import Equiformer, EquiformerConfig
from app.training.models.inputs import LocalInputs, ModelInputs

__all__ = [
    "AllegroConfig",
    "EquiformerConfig",
    "LocalInputs",
    "ModelConfig",
    "ModelInputs",
    "Statistics",
    "build_model",
]


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


ModelConfig = Annotated[AllegroConfig | EquiformerConfig, Field(discriminator="architecture")]
ARCHITECTURES: dict[type[BaseModel], type[Allegro] | type[Equiformer]] = {
    AllegroConfig: Allegro,
    EquiformerConfig: Equiformer,
}


def build_model(
    config: ModelConfig, statistics: Statistics, dtype: torch.dtype = torch.float32, seed: int = 0
) -> Allegro | Equiformer:
    """A freshly initialised model.

    Its `forward` takes `LocalInputs` where its `strictly_local` is true, else `ModelInputs`, and gives the (N,)
    interaction energies in eV, without the reference energies of the atoms. Its `species_axes` says which of its
    parameters grow with the number of elements. It is built in float64 and cast,
    so that its constants are exact in either precision.
    """
    make: Callable[..., Allegro | Equiformer] = ARCHITECTURES[type(config)]
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = make(config, len(statistics.elements), statistics.force_scale, statistics.average_neighbors)
    finally:
        torch.set_default_dtype(before)
    return model.to(dtype)
