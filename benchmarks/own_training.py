"""Our training step, as `app.training` runs it.

The mode is `eager`, `kernel`, `tf32` or `bfloat16`, for Allegro of the command line's sizes; with
`equiformer` before it, for Equiformer with its defaults.
"""

import argparse
from functools import partial

import numpy as np
from torch import Tensor

from app.training.data.batches import Batch, Collator
from app.training.data.dataset import build_dataset
from app.training.data.load import Finder, load_sources
from app.training.evaluation.forward import Outputs, predict
from app.training.loop.hardware import set_up
from app.training.loop.kernel import kernel_of
from app.training.loop.loss import Losses, compute_losses
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
        self.kernel = kernel_of(self.model, config, known, device)

    def __call__(self, batch: int) -> None:
        data = self.ready[batch]
        if self.kernel is not None:
            self.optimizer.zero_grad(set_to_none=True)
            self.kernel.add_gradients(data, partial(self.losses, data), stress=False)
            self.optimizer.step()
            return
        with self.precision.of_step():
            with self.precision.of_forward():
                outputs = predict(self.model, data, create_graph=True, stress=False)
            losses = self.losses(data, outputs)
            self.optimizer.zero_grad(set_to_none=True)
            losses.total.backward()
            self.optimizer.step()

    def force_loss(self, batch: int) -> Tensor:
        data = self.ready[batch]
        if self.kernel is None:
            outputs = predict(self.model, data, create_graph=True, stress=False)
            return self.losses(data, outputs).forces

        def forces(outputs: Outputs) -> Losses:
            losses = self.losses(data, outputs)
            return losses._replace(total=losses.forces)

        self.optimizer.zero_grad(set_to_none=True)
        loss = self.kernel.add_gradients(data, forces, stress=False)[0]
        # A function of the parameters that has the loss's value and gradient.
        slope = sum((p * p.grad).sum() for p in self.parameters if p.grad is not None)
        return loss + slope - slope.detach()

    def losses(self, data: Batch, outputs: Outputs) -> Losses:
        return compute_losses(outputs, data.targets, self.loss)


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
        "precision": precision if precision in ("tf32", "bfloat16") else "full",
        "step": "kernel" if precision == "kernel" else "eager",
        "device": options.device.partition(":")[0],
        "deterministic": False,
    }
    return parse_config(content, "benchmark")


if __name__ == "__main__":
    run(OwnStep)
