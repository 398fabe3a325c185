"""Weights from a model to one that knows further elements."""

from collections.abc import Mapping

import torch
from torch import Tensor

from app.errors import TrainingError
from app.training.models.network import Network


@torch.no_grad()
def take_weights(model: Network, weights: Mapping[str, Tensor]) -> None:
    """Give a model the weights of one that knows the first of its elements; those of the others
    stay as they are.

    Args:
        model: its `species_axes` names the axes along which parameters have an entry for each
            element.
        weights: by name.

    Raises:
        TrainingError: weights of another model.
    """
    state, grow = model.state_dict(), model.species_axes
    for name, value in weights.items():
        axes = grow.get(name, ())
        own = state.pop(name, torch.empty(0))
        known = tuple(
            slice(size) if axis in axes else slice(None) for axis, size in enumerate(value.shape)
        )
        if own.ndim != value.ndim or own[known].shape != value.shape:
            raise TrainingError(
                f"the weights to start from are of another model: {name} has shape {[*value.shape]}"
            )
        own[known] = value.to(own.dtype)
    if state:
        raise TrainingError(
            f"the weights to start from are of another model: {', '.join(state)} is missing"
        )
