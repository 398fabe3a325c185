"""The training loop."""

import math
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from app.errors import InvalidData, TrainingError
from app.structure import Integers
from app.training import checkpoint
from app.training.batches import Collator, Limits, epoch_batches
from app.training.board import Board
from app.training.config import TrainConfig
from app.training.data import Finder, Frames, check_stress, load_frames
from app.training.ema import Average
from app.training.evaluate import Errors, errors, predict_frames
from app.training.loss import Losses, Outputs, compute_losses, predict
from app.training.models import Statistics, build_model
from app.training.references import fit_statistics
from app.training.run_folder import RunFolder
from app.training.schedule import LearningRate

METRICS = ("energy_mae", "energy_rmse", "energy_per_atom_mae", "energy_per_atom_rmse", "forces_mae", "forces_rmse")
"""Validation errors in each line of the metrics."""


class Watch(Protocol):
    """Who looks on while a model trains.

    Attributes:
        interrupted: True ends the training after the step in hand.
    """

    interrupted: bool

    def stepped(self, progress: "Progress", losses: list[float], steps_per_epoch: int) -> None:
        """After each step."""

    def evaluated(self, line: dict[str, float]) -> None:
        """After each evaluation, with its line of metrics."""


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: optimiser steps taken.
        epoch: epochs completed.
        batch: batches taken of the epoch in hand.
        seconds: wall time, those before a resume included.
        lines: evaluations made.
        sums: sums of the training losses since the last evaluation, and their number.
        best_loss: the best validation loss.
        best_step: the step at which it was found.
        since_best: evaluations since then.
        best: the averaged weights then.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    lines: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * 5)
    best_loss: float = math.inf
    best_step: int = 0
    since_best: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """What is to be learnt: frames with neighbour lists, and their statistics."""

    frames: Frames
    statistics: Statistics
    train: Collator
    validation: Collator


def load_problem(config: TrainConfig, find: Finder) -> Problem:
    """Read the data, find neighbours and fit the statistics.

    Raises:
        InvalidData: naming file and frame; or a loss of forces or stresses without any.
    """
    frames = load_frames(config.data, find, config.model.cutoff, config.dtype)
    forces, stress = (config.loss.largest(name) for name in ("forces", "stress"))
    if stress:
        if not frames.train.has_stress.any():
            raise InvalidData(f"loss.stress is {stress}, but no training frame has a stress")
        for part in (frames.train, frames.validation):
            check_stress(part, stress)
    if forces and not frames.train.has_forces.any():
        raise InvalidData(f"loss.forces is {forces}, but no training frame has forces; set it to 0")
    elements = config.data.elements or frames.elements()
    statistics = fit_statistics(frames.train, elements, config.references)
    train, validation = (Collator(part, statistics) for part in (frames.train, frames.validation))
    return Problem(frames, statistics, train, validation)


class Trainer:
    """A model in training: `fit` is the loop, and `state` all that must survive a kill."""

    def __init__(self, config: TrainConfig, problem: Problem, folder: RunFolder, device: torch.device) -> None:
        self.config, self.problem, self.folder, self.device = config, problem, folder, device
        torch.manual_seed(config.seed)
        self.model = build_model(config.model, problem.statistics, getattr(torch, config.dtype), config.seed).to(device)
        self.optimizer = make_optimizer(self.model, config)
        self.average = Average(self.model, config.ema)
        self.rate = LearningRate(config.schedule, config.optimizer.lr)
        self.limits = Limits(config.batch_size, config.max_atoms, config.max_edges)
        self.progress = Progress()
        self.board: Board | None = None
        self.started = self.saved = time.monotonic()

    def fit(self, watch: Watch) -> str:
        """Train until something ends it, and say what: `epochs`, `patience`, `max_minutes` or `interrupted`."""
        config, progress = self.config, self.progress
        while progress.epoch < config.epochs:
            todo = epoch_batches(self.problem.train.dataset, self.limits, config.seed, progress.epoch, config.bucket)
            for indices in todo[progress.batch :]:
                if watch.interrupted:
                    return "interrupted"
                if config.patience is not None and progress.since_best >= config.patience:
                    return "patience"
                if config.max_minutes is not None and self.elapsed() >= 60 * config.max_minutes:
                    return "max_minutes"
                losses = self.step(indices, (progress.epoch + progress.batch / len(todo)) / config.epochs)
                progress.batch += 1
                if progress.batch == len(todo):
                    progress.epoch, progress.batch = progress.epoch + 1, 0
                watch.stepped(progress, losses, len(todo))
                if self.evaluation_is_due():
                    watch.evaluated(self.evaluate())
                    self.save()
                elif self.checkpoint_is_due():
                    self.save()
        return "epochs"

    def step(self, indices: Integers, done: float) -> list[float]:
        """One optimiser step on a batch.

        Args:
            indices: frames of the batch.
            done: share of the run's epochs that is done, for the schedule.

        Returns:
            The losses, as floats.

        Raises:
            TrainingError: the loss is not finite.
        """
        config, progress = self.config, self.progress
        rate = self.rate.at(progress.step, done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.problem.train(indices).to(self.device)
        outputs = predict(self.model, batch, create_graph=True, stress=config.loss.largest("stress") > 0)
        losses = compute_losses(outputs, batch.targets, config.loss.at(done * config.epochs))
        values = torch.stack([part.detach() for part in losses]).tolist()
        if not math.isfinite(values[0]):
            raise TrainingError(self._blown_up(values[0], indices))
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        if config.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        self.optimizer.step()
        progress.step += 1
        self.average.update(progress.step)
        progress.sums = [a + b for a, b in zip(progress.sums, [*values, 1.0], strict=True)]
        return values

    def evaluate(self) -> dict[str, float]:
        """Validate the averaged weights, keep them if they are the best so far, and write a line of metrics."""
        progress, problem = self.progress, self.problem
        with self.average.applied():
            loss, found = validate(self.model, problem.validation, self.config, self.device)
            progress.since_best += 1
            if loss < progress.best_loss:
                progress.best_loss, progress.best_step, progress.since_best = loss, progress.step, 0
                progress.best = {name: t.detach().cpu().clone() for name, t in self.model.state_dict().items()}
                self.folder.write_weights(progress.best)
        self.rate.evaluated(loss)
        count = max(progress.sums[-1], 1.0)
        line = {
            "step": progress.step,
            "epoch": progress.epoch,
            "seconds": self.elapsed(),
            "lr": self.optimizer.param_groups[0]["lr"],
            **{f"train_{name}": part / count for name, part in zip(Losses._fields, progress.sums, strict=False)},
            "validation_loss": loss,
            **{name: math.nan if (value := getattr(found, name)) is None else value for name in METRICS},
        }
        progress.sums = [0.0] * len(progress.sums)
        progress.lines += 1
        self.folder.add_line(line)
        if self.board is not None:
            self.board.add(line)
        return line

    def evaluation_is_due(self) -> bool:
        """Whether to evaluate after this step."""
        every = self.config.evaluate_steps
        return self.progress.batch == 0 if every is None else self.progress.step % every == 0

    def checkpoint_is_due(self) -> bool:
        """Whether to write a checkpoint after this step, between evaluations."""
        every = self.config.checkpoint_steps
        if every is not None and self.progress.step % every == 0:
            return True
        return time.monotonic() - self.saved > 60 * self.config.checkpoint_minutes

    def elapsed(self) -> float:
        """Seconds of wall time, those before a resume included."""
        return self.progress.seconds + time.monotonic() - self.started

    def save(self) -> None:
        """Write a checkpoint from which training goes on exactly."""
        checkpoint.save(self.folder.checkpoint, self.state())
        self.saved = time.monotonic()

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, as tensors and plain values."""
        return {
            "architecture": self.config.model.architecture,
            "config": self.config.model_dump(mode="json"),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.values,
            "rate": self.rate.state(),
            "progress": {**vars(self.progress), "seconds": self.elapsed()},
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load(state["average"])
        self.rate.load(state["rate"])
        self.progress = Progress(**state["progress"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and state["random_cuda"]:
            torch.cuda.set_rng_state_all(state["random_cuda"])
        self.folder.keep_lines(self.progress.lines)
        if self.progress.best:
            self.folder.write_weights(self.progress.best)

    def _blown_up(self, loss: float, indices: Integers) -> str:
        frames = self.problem.train.dataset
        bad = [i for i in sorted(indices) if not math.isfinite(self._loss_alone(i))]
        named = bad or list(indices)
        listed = "; ".join(frames[i].origin for i in named[:8])
        return (
            f"step {self.progress.step + 1}: the loss is {loss}; nothing was learnt from this batch, and the last "
            f"checkpoint is as it was. Not finite by themselves are {len(bad)} of its {len(indices)} frames: "
            f"{listed}{' and others' if len(named) > 8 else ''}. Look at the labels of a single one; where it is all "
            "of them, a lower optimizer.lr, or clip, may help"
        )

    def _loss_alone(self, index: int) -> float:
        """The loss of one training frame."""
        batch = self.problem.train(np.array([index])).to(self.device)
        outputs = predict(self.model, batch, create_graph=False)
        return float(compute_losses(outputs, batch.targets, self.config.loss.at(math.inf)).total)


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam or AdamW; weight decay acts on matrices, not on scales and biases."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.optimizer.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    make: type[torch.optim.Adam] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer.name]
    return make(groups, lr=config.optimizer.lr, betas=config.optimizer.betas, fused=True)


def validate(model: nn.Module, collator: Collator, config: TrainConfig, device: torch.device) -> tuple[float, Errors]:
    """Loss, with its weights at the end of the run, and errors on a whole set.

    Raises:
        TrainingError: a prediction is not finite.
    """
    values = predict_frames(model, collator, evaluation_limits(config), device)
    if not (np.isfinite(values.energy).all() and np.isfinite(values.forces).all()):
        raise TrainingError("the model's predictions are not finite; a lower optimizer.lr, or clip, may help")
    parts = (values.energy - collator.references, values.forces, values.stress)
    outputs = Outputs(*(torch.from_numpy(part) for part in parts))
    losses = compute_losses(outputs, collator.all_targets(), config.loss.at(math.inf))
    return float(losses.total), errors(values, list(collator.dataset))


def evaluation_limits(config: TrainConfig) -> Limits:
    """Batches for evaluation: twice as large as those of training, for they need half the memory."""
    atoms, edges = (None if limit is None else 2 * limit for limit in (config.max_atoms, config.max_edges))
    return Limits(2 * config.batch_size, atoms, edges)
