"""Our Allegro in the sizes of a benchmark."""

import argparse

from app.store.card import ModelCard
from app.training.models import AllegroConfig, Statistics
from benchmarks.structures import ELEMENTS


def allegro_config(options: argparse.Namespace) -> AllegroConfig:
    """Hyperparameters, from the command line's sizes."""
    return AllegroConfig(
        cutoff=options.cutoff,
        l_max=options.l_max,
        num_layers=options.layers,
        num_scalars=options.scalars,
        num_tensors=options.tensors,
        two_body_mlp=(options.scalars,),
        latent_mlp=(options.scalars,),
        readout_mlp=(32,),
        parity="full",
    )


def statistics(options: argparse.Namespace) -> Statistics:
    """Of a model that was never fitted to data."""
    return Statistics(
        elements=ELEMENTS,
        atomic_energies=dict.fromkeys(ELEMENTS, 0.0),
        force_scale=1.0,
        average_neighbors=options.average_neighbors,
    )


def card_of(config: AllegroConfig, parameters: int) -> ModelCard:
    """The card of such a model with random weights."""
    return ModelCard(
        name="benchmark",
        version=1,
        description="random weights",
        architecture=config.architecture,
        backend="onnx",
        elements=ELEMENTS,
        atomic_energies=dict.fromkeys(ELEMENTS, 0.0),
        cutoff=config.cutoff,
        receptive_field=config.receptive_field,
        dtype="float32",
        parameters=parameters,
        energies_alone=True,
    )
