"""The architectures: each maps species and edge vectors to per-atom interaction energies."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, TypeAlias

import torch
from pydantic import Field
from torch import nn

# Each config that is imported here is an architecture that training configs can name.
from app.training.models.allegro import AllegroConfig as AllegroConfig
from app.training.models.amended import Amended
from app.training.models.architecture import ArchitectureConfig
from app.training.models.binding import Binding
from app.training.models.equiformer import EquiformerConfig as EquiformerConfig
from app.training.models.inputs import LocalInputs as LocalInputs
from app.training.models.inputs import ModelInputs as ModelInputs
from app.training.models.mace import MACEConfig as MACEConfig
from app.training.models.nequip import NequIPConfig as NequIPConfig
from app.training.models.network import Network
from app.training.models.repulsion import Repulsion
from app.training.models.statistics import Statistics as Statistics

if TYPE_CHECKING:
    ModelConfig: TypeAlias = ArchitectureConfig
else:
    ModelConfig = Annotated[
        reduce(or_, ArchitectureConfig.__subclasses__()), Field(discriminator="architecture")
    ]


def build_model(
    config: ModelConfig, statistics: Statistics, dtype: torch.dtype = torch.float32, seed: int = 0
) -> Network:
    """A freshly initialised model (`ArchitectureConfig.build`), from a seed.

    It is built in float64 and cast, so that its constants are exact in either precision.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = config.build(
                len(statistics.elements), statistics.force_scale, statistics.average_neighbors
            )
            model.set_elements(statistics.elements)
            if terms := _terms(config, statistics):
                model = Amended(model, terms)
    finally:
        torch.set_default_dtype(before)
    return model.to(dtype)


def _terms(config: ModelConfig, statistics: Statistics) -> dict[str, nn.Module]:
    """What is added to the network's energies, by name."""
    elements, terms = statistics.elements, dict[str, nn.Module]()
    if config.repulsion == "zbl":
        terms["repulsion"] = Repulsion(elements, config.cutoff)
    if config.binding:
        terms["binding"] = Binding(elements, config.cutoff, statistics.binding_energies)
    return terms
