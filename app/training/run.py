"""A whole run: data, training, final evaluation, and the run folder."""

from typing import Any

import numpy as np
from safetensors.torch import load_file

from app.errors import InvalidConfig, TrainingError
from app.training import checkpoint, hardware
from app.training.batches import Collator
from app.training.board import Board
from app.training.config import TrainConfig
from app.training.config_file import differences, parse_config
from app.training.data import Finder
from app.training.dataset import Dataset
from app.training.evaluate import Errors, Values, errors, predict_frames
from app.training.run_folder import RunFolder
from app.training.train import Trainer, Watch, evaluation_limits, load_problem

MAY_CHANGE = ("max_minutes", "patience", "checkpoint_steps", "checkpoint_minutes", "device", "threads", "tensorboard")
"""Keys that may differ when a run is resumed: when it stops, and what it runs on."""
OVER_EPOCHS = ("cosine", "exponential")
"""Schedules that depend on the number of epochs; with the others it may change, too."""
TRAIN_SAMPLE = 1000
"""Training frames that the final evaluation looks at."""


def run(config: TrainConfig, folder: RunFolder, find: Finder, watch: Watch, resume: bool = False) -> dict[str, Any]:
    """Train a model, or go on with it, and evaluate the best weights.

    Args:
        config: what to do.
        folder: where to write.
        find: from the config's paths to files.
        watch: told of each step and evaluation.
        resume: go on from the folder's checkpoint, if it has one.

    Returns:
        The content of `metrics.json`.

    Raises:
        TrainingError: a run is in the folder already, its config or format is another, or training blew up.
        InvalidData: naming file and frame.
    """
    device = hardware.set_up(config)
    state = None
    if folder.start(resume):
        state = checkpoint.load(folder.checkpoint, config.model.architecture)
        check_same(state["config"], config)
    problem = load_problem(config, find)
    trainer = Trainer(config, problem, folder, device)
    if state is None:
        folder.write_setting(config, problem.statistics, problem.frames.test or problem.frames.validation)
        folder.keep_lines(0)
    else:
        trainer.load(state)
    trainer.board = Board(folder.board, trainer.progress.step) if config.tensorboard else None
    try:
        reason = train(trainer, watch)
    finally:
        if trainer.board is not None:
            trainer.board.close()
    return finish(trainer, reason)


def train(trainer: Trainer, watch: Watch) -> str:
    """Train to the end, with a checkpoint and an evaluation there; returns why it ended.

    Raises:
        TrainingError: it was interrupted, or blew up.
    """
    reason = trainer.fit(watch)
    trainer.save()
    if reason == "interrupted":
        raise TrainingError(f"interrupted after step {trainer.progress.step}; go on with --resume")
    if trainer.progress.sums[-1]:
        watch.evaluated(trainer.evaluate())
    return reason


def finish(trainer: Trainer, reason: str) -> dict[str, Any]:
    """Evaluate the best weights on all sets, and write metrics and plots."""
    from app.training.plots import learning_curve, parity

    folder, frames = trainer.folder, trainer.problem.frames
    trainer.model.load_state_dict(load_file(folder.weights))
    sample = np.random.default_rng(0).permutation(len(frames.train))[:TRAIN_SAMPLE]
    sets = {"train": frames.train.take(np.sort(sample)), "validation": frames.validation, "test": frames.test}
    found: dict[str, Errors] = {}
    for name, part in sets.items():
        if part:
            values, labelled = predict_all(trainer, part), list(part)
            found[name] = errors(values, labelled)
            parity(folder.parity, f"{folder.path.name}, {name}", labelled, values)
    learning_curve(folder.learning_curve, folder.lines())
    result = {
        **{name: e.model_dump(exclude_none=True) for name, e in found.items()},
        "training_frames": len(frames.train),
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "steps": trainer.progress.step,
        "epochs": trainer.progress.epoch,
        "best_step": trainer.progress.best_step,
        "stopped_by": reason,
        "seconds": round(trainer.elapsed(), 1),
        "hardware": hardware.describe(trainer.device),
        "dtype": trainer.config.dtype,
    }
    folder.write_result(result)
    return result


def predict_all(trainer: Trainer, frames: Dataset) -> Values:
    """What the trainer's model says about some frames."""
    collator = Collator(frames, trainer.problem.statistics)
    return predict_frames(trainer.model, collator, evaluation_limits(trainer.config), trainer.device)


def check_same(old: dict[str, Any], config: TrainConfig) -> None:
    """Make sure that a run goes on with the config that it began with; keys that are newer have their defaults.

    Raises:
        InvalidConfig: naming each key that differs, with both values.
    """
    allowed = MAY_CHANGE if config.schedule.kind in OVER_EPOCHS else (*MAY_CHANGE, "epochs")
    before = parse_config(old, "the config of the checkpoint").model_dump(mode="json")
    found = differences(before, config.model_dump(mode="json"))
    changed = [f"{key} was {was!r}, is {now!r}" for key, (was, now) in found.items() if key not in allowed]
    if changed:
        raise InvalidConfig(f"--resume with another config: {'; '.join(changed)}. Only {', '.join(allowed)} may change")
