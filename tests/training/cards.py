"""Models with random weights, as the contract takes them."""

import torch

from app.store.card import ModelCard
from app.training.export.certificate import EagerModel
from app.training.models import ModelConfig, Statistics, build_model
from app.training.models.network import Network

ELEMENTS = ("H", "C", "N", "O")


def random_card(cutoff: float, dtype: str = "float64") -> ModelCard:
    """The card of a model with random weights for H, C, N and O."""
    return ModelCard(
        name="random",
        version=1,
        description="",
        architecture="allegro",
        backend="onnx",
        elements=ELEMENTS,
        atomic_energies={symbol: -10.0 * (i + 1) for i, symbol in enumerate(ELEMENTS)},
        cutoff=cutoff,
        receptive_field=cutoff,
        dtype=dtype,
    )


def reference(config: ModelConfig) -> EagerModel:
    """A model with random weights, in float64."""
    card = random_card(config.cutoff).model_copy(
        update={
            "receptive_field": config.receptive_field,
            "takes_charge": config.takes_charge,
        }
    )
    statistics = Statistics(
        elements=card.elements,
        atomic_energies=card.atomic_energies,
        force_scale=1.3,
        average_neighbors=17.0,
    )
    return EagerModel(charged(build_model(config, statistics, torch.float64)), card)


def charged(network: Network) -> Network:
    """The network, with random numbers in its embedding of the charge, which begins with zeros."""
    generator = torch.Generator().manual_seed(0)
    for name, weights in network.named_parameters():
        if name.endswith("embedding.charge"):
            torch.nn.init.normal_(weights, generator=generator)
    return network
