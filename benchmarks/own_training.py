"""Our training step, as `app.training` runs it.

The mode is `eager`, `tf32` or `bfloat16`, for Allegro of the command line's sizes; with `equiformer`
before it, for Equiformer with its defaults.
"""

import argparse

import numpy as np
from torch import Tensor

from app.training.data.batches import Collator
from app.training.data.dataset import build_dataset
from app.training.data.load import Finder, load_sources
from app.training.evaluation.forward import predict
from app.training.loop.hardware import set_up
from app.training.loop.loss import compute_losses
from app.training.loop.optimizers import make_optimizer
from app.training.loop.precision import Precision
from app.training.models import build_model
from app.training.runs.config import LossConfig, TrainConfig
from app.training.runs.config_file import parse_config
from benchmarks.own import allegro_config, statistics
from benchmarks.training_step import run


class OwnStep:
    """Forward, backward and optimiser of one of our models."""

    def __init__(self, options: argparse.Namespace) -> None:
        config = train_config(options)
        device = set_up(config, int(options.device.partition(":")[2] or 0))
        frames = load_sources(config.data.train, Finder(options.data.parent))
        known = statistics(options)
        collator = Collator(build_dataset(frames, config.model.cutoff), known)
        chosen = np.array_split(np.arange(len(frames)), len(frames) // options.batch_size)
        self.ready = [collator(indices).to(device) for indices in chosen]
        self.batches = len(self.ready)
        self.model = build_model(config.model, known).to(device)
        self.parameters = list(self.model.parameters())
        self.optimizer = make_optimizer(self.model, config)
        self.loss: LossConfig = config.loss
        self.precision = Precision(config.precision, device)

    def __call__(self, batch: int) -> None:
        data = self.ready[batch]
        with self.precision.of_step():
            with self.precision.of_forward():
                outputs = predict(self.model, data, create_graph=True, stress=False)
            losses = compute_losses(outputs, data.targets, self.loss)
            self.optimizer.zero_grad(set_to_none=True)
            losses.total.backward()
            self.optimizer.step()

    def force_loss(self, batch: int) -> Tensor:
        data = self.ready[batch]
        return compute_losses(
            predict(self.model, data, create_graph=True, stress=False), data.targets, self.loss
        ).forces


def train_config(options: argparse.Namespace) -> TrainConfig:
    """The config of such a run."""
    *equiformer, precision = options.mode.split()
    model = {"architecture": "equiformer"} if equiformer else allegro_config(options).model_dump()
    content = {
        "data": {"train": options.data.name},
        "model": model,
        "loss": {"kind": "mse", "forces_per": "component"},
        "optimizer": {"name": "adam", "lr": 0.002},  # as the peers
        "batch_size": options.batch_size,
        "threads": options.threads,
        "precision": "full" if precision == "eager" else precision,
        "device": options.device.partition(":")[0],
        "deterministic": False,
    }
    return parse_config(content, "benchmark")


if __name__ == "__main__":
    run(OwnStep)
