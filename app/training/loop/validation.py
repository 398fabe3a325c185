"""Loss and errors of a model on a whole set of frames."""

import math

import numpy as np
import torch

from app.errors import TrainingError
from app.training.data.batches import BatchSize, Collator
from app.training.evaluation.errors import Errors, errors, predict_frames
from app.training.evaluation.forward import Outputs
from app.training.loop.loss import compute_losses
from app.training.models.network import Network
from app.training.runs.config import TrainConfig


def validate(
    model: Network, collator: Collator, config: TrainConfig, device: torch.device
) -> tuple[float, Errors]:
    """Loss, with its weights at the end of the run, and errors on a whole set.

    Raises:
        TrainingError: a prediction is not finite.
    """
    values = predict_frames(model, collator, evaluation_batch_size(config), device)
    if not (np.isfinite(values.energy).all() and np.isfinite(values.forces).all()):
        raise TrainingError(
            "the model's predictions are not finite; a lower optimizer.lr, or clip, may help"
        )
    parts = (values.energy - collator.references, values.forces, values.stress)
    outputs = Outputs(*(torch.from_numpy(part) for part in parts))
    losses = compute_losses(outputs, collator.all_targets(), config.loss.at(math.inf))
    return float(losses.total), errors(values, list(collator.dataset))


def evaluation_batch_size(config: TrainConfig) -> BatchSize:
    """Batches for evaluation: twice as large as those of training, for they need half the memory."""
    atoms, edges = (
        None if limit is None else 2 * limit for limit in (config.max_atoms, config.max_edges)
    )
    return BatchSize(2 * config.batch_size, atoms, edges)
