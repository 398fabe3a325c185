"""The training loop."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from app.atoms.structure import Integers
from app.training.data.batches import BatchSize, epoch_batches
from app.training.evaluation.errors import Errors
from app.training.loop.distributed import ALONE, ProcessGroup
from app.training.loop.ema import Average
from app.training.loop.gradients import Gradients
from app.training.loop.learning_rate import LearningRate
from app.training.loop.loss import Losses
from app.training.loop.optimizers import make_optimizer
from app.training.loop.problem import Problem
from app.training.loop.progress import Progress, Watch
from app.training.loop.tensorboard import Board
from app.training.loop.validation import validate
from app.training.runs import checkpoint
from app.training.runs.config import TrainConfig
from app.training.runs.fine_tuning import initial_model
from app.training.runs.folder import RunFolder

METRICS = (
    "energy_mae",
    "energy_rmse",
    "energy_per_atom_mae",
    "energy_per_atom_rmse",
    "forces_mae",
    "forces_rmse",
)
"""Validation errors in each line of the metrics."""


class Trainer:
    """A model in training: `fit` is the loop, and `state` all that must survive a kill.

    Args:
        config: what to do.
        problem: what is to be learnt.
        folder: where to write.
        device: where to train.
        weights: those to start from; random ones by default.
        group: the processes that train; this one alone by default.
    """

    def __init__(
        self,
        config: TrainConfig,
        problem: Problem,
        folder: RunFolder,
        device: torch.device,
        weights: Mapping[str, Tensor] | None = None,
        group: ProcessGroup = ALONE,
    ) -> None:
        self.config, self.problem, self.folder, self.device = config, problem, folder, device
        self.group = group
        self.model = initial_model(config, problem.statistics, weights).to(device)
        self.group.broadcast_weights(self.model)
        self.gradients = Gradients(
            self.model, problem.train, config, self.group, problem.statistics
        )
        self.optimizer = make_optimizer(self.model, config)
        self.average = Average(self.model, config.ema)
        self.rate = LearningRate(config.schedule, config.optimizer.lr)
        self.batch_size = BatchSize(config.batch_size, config.max_atoms, config.max_edges)
        self.progress = Progress()
        self.board: Board | None = None
        self._start_clock()

    def fit(self, watch: Watch) -> str:
        """Train until something ends it, and say what: `epochs`, `patience`, `max_minutes` or
        `interrupted`.
        """
        config, progress = self.config, self.progress
        self._start_clock()
        while progress.epoch < config.epochs:
            todo = epoch_batches(
                self.problem.train.dataset,
                self.batch_size,
                config.seed,
                progress.epoch,
                config.bucket,
            )
            for indices in todo[progress.batch :]:
                if reason := self.reason_to_stop(watch):
                    return reason
                losses = self.step(
                    indices, (progress.epoch + progress.batch / len(todo)) / config.epochs, watch
                )
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

    def reason_to_stop(self, watch: Watch) -> str | None:
        """Why training ends before the next step, if it does: the same in all processes."""
        config = self.config
        late = (
            config.max_minutes is not None and self.elapsed()["seconds"] >= 60 * config.max_minutes
        )
        interrupted, over = self.group.any(watch.interrupted, self.group.is_first and late)
        if interrupted:
            return "interrupted"
        if config.patience is not None and self.progress.since_best >= config.patience:
            return "patience"
        return "max_minutes" if over else None

    def step(self, indices: Integers, done: float, watch: Watch) -> list[float]:
        """One optimiser step on a batch.

        Args:
            indices: (B,) frames of the batch.
            done: share of the run's epochs that is done, for the schedule.
            watch: told where memory ran out.

        Returns:
            The losses, as floats.

        Raises:
            TrainingError: the loss is not finite, or memory ran out twice.
        """
        config, progress = self.config, self.progress
        rate = self.rate.at(progress.step, done)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = rate
        losses = self.gradients(
            indices, config.loss.at(done * config.epochs), progress.step, watch.say
        )
        if config.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        self.optimizer.step()
        progress.step += 1
        self.average.update(progress.step)
        progress.sums = [a + b for a, b in zip(progress.sums, [*losses, 1.0], strict=True)]
        return losses

    def evaluate(self) -> dict[str, float]:
        """Validate the averaged weights, keep them if they are the best so far, and write a line of
        metrics.
        """
        progress = self.progress
        with self.average.applied():
            loss, errors = self.group.share(
                lambda: validate(self.model, self.problem.validation, self.config, self.device)
            )
            progress.since_best += 1
            if loss < progress.best_loss:
                progress.best_loss, progress.best_step, progress.since_best = loss, progress.step, 0
                progress.best = {
                    name: t.detach().cpu().clone() for name, t in self.model.state_dict().items()
                }
                if self.group.is_first:
                    self.folder.write_weights(progress.best)
        self.rate.evaluated(loss)
        line = self.line(loss, errors)
        progress.sums = [0.0] * len(progress.sums)
        progress.lines += 1
        if self.group.is_first:
            self.folder.add_line(line)
        if self.board is not None:
            self.board.add(line)
        return line

    def line(self, loss: float, errors: Errors) -> dict[str, float]:
        """The metrics of an evaluation."""
        progress = self.progress
        count = max(progress.sums[-1], 1.0)
        return {
            "step": progress.step,
            "epoch": progress.epoch,
            **self.elapsed(),
            "lr": self.optimizer.param_groups[0]["lr"],
            **{
                f"train_{name}": part / count
                for name, part in zip(Losses._fields, progress.sums, strict=False)
            },
            "validation_loss": loss,
            **{
                name: math.nan if (value := getattr(errors, name)) is None else value
                for name in METRICS
            },
        }

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

    def elapsed(self) -> dict[str, float]:
        """Seconds of wall time and of this process's processor time, those before a resume
        included.
        """
        wall, cpu = time.monotonic() - self.started, time.process_time() - self.started_cpu
        return {
            "seconds": self.progress.seconds + wall,
            "cpu_seconds": self.progress.cpu_seconds + cpu,
        }

    def _start_clock(self) -> None:
        self.started = self.saved = time.monotonic()
        self.started_cpu = time.process_time()

    def save(self) -> None:
        """Write a checkpoint from which training goes on exactly."""
        if self.group.is_first:
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
            "memory": self.gradients.state(),
            "progress": {**vars(self.progress), **self.elapsed()},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load(state["average"])
        self.rate.load(state["rate"])
        self.gradients.load(state.get("memory", {}))
        self.progress = Progress(**state["progress"])
        if self.group.is_first:
            self.folder.keep_lines(self.progress.lines)
            if self.progress.best:
                self.folder.write_weights(self.progress.best)
