"""Whole runs: data, training, final evaluation, and the run folders; one model, or the members of a
committee.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from app.errors import InvalidConfig, TrainingError
from app.store.store import ModelStore
from app.training.data.batches import Collator
from app.training.data.dataset import Dataset
from app.training.data.load import Finder, Frames
from app.training.evaluation.errors import Errors, Values, errors, predict_frames
from app.training.loop import hardware
from app.training.loop.distributed import ProcessGroup
from app.training.loop.progress import Watch
from app.training.loop.tensorboard import Board
from app.training.loop.trainer import Problem, Trainer, load_problem
from app.training.loop.validation import evaluation_batch_size
from app.training.models import Statistics
from app.training.runs import checkpoint
from app.training.runs.config import TrainConfig
from app.training.runs.config_file import differences, parse_config
from app.training.runs.fine_tuning import DEFAULT_STORE, Base, start_of
from app.training.runs.folder import RunFolder

MAY_CHANGE = (
    "max_minutes",
    "patience",
    "checkpoint_steps",
    "checkpoint_minutes",
    "device",
    "threads",
    "edges_at_once",
    "tensorboard",
)
"""Keys that may differ when a run is resumed: when it stops, and what it runs on."""
OVER_EPOCHS = ("cosine", "exponential")
"""Schedules that depend on the number of epochs; with the others it may change, too."""
TRAIN_SAMPLE = 1000
"""Training frames that the final evaluation looks at."""
State = dict[str, Any]


@dataclass(frozen=True)
class Member:
    """A run: what to do, and where to write."""

    config: TrainConfig
    folder: RunFolder


def run(
    config: TrainConfig,
    folder: RunFolder,
    find: Finder,
    watch: Watch,
    resume: bool = False,
    store: ModelStore = DEFAULT_STORE,
    group: ProcessGroup | None = None,
) -> dict[str, Any] | None:
    """Train a model, or go on with it, and evaluate the best weights.

    Args:
        config: what to do.
        folder: where to write.
        find: from the config's paths to files.
        watch: told of each step and evaluation.
        resume: go on from the folder's checkpoint, if it has one.
        store: where the model may be that the run starts from.
        group: the processes of the run; this one alone by default.

    Returns:
        The content of `metrics.json`; nothing in processes but the first.

    Raises:
        TrainingError: a run is in the folder already, its config or format is another, or training
            blew up.
        InvalidData: naming file and frame.
        StoreError: the model to start from cannot be read.
    """
    _, results = run_members(
        [Member(config, folder)], find, watch, resume, store, group or ProcessGroup()
    )
    return results[0] if results else None


def run_members(
    members: Sequence[Member],
    find: Finder,
    watch: Watch,
    resume: bool,
    store: ModelStore,
    group: ProcessGroup,
) -> tuple[Problem, list[dict[str, Any]]]:
    """Train runs that share all but the seed, one after the other; see `run`.

    Every run has a checkpoint before the first one begins to train, so that what it starts from is
    read only once.

    Returns:
        Data and statistics, which all share, and the content of each one's `metrics.json` (in the
        first process).
    """
    with group.together():
        device = hardware.set_up(members[0].config, group.local_rank)
    states = group.share(lambda: [saved_state(member, resume) for member in members])
    base = group.share(lambda: start_of(members[0].config, store)) if None in states else None
    statistics = group.share(lambda: begun_statistics(members, states))
    with group.together():
        first = group.is_first or find.cache is None
        problem = load_problem(members[0].config, find, base, statistics) if first else None
    with group.together():  # the first process has filled the cache, if there is one
        problem = problem or load_problem(members[0].config, find, base, statistics)
    for number, member in enumerate(members):
        if states[number] is None:
            states[number] = begin(member, problem, device, base, number, group)
    results = []
    for member, state in zip(members, states, strict=True):
        assert state is not None
        if len(members) > 1:
            watch.began(member.folder.path.name)
        results.append(go_on(member, problem, device, state, watch, group))
    return problem, [result for result in results if result is not None]


def saved_state(member: Member, resume: bool) -> State | None:
    """Make the folder, and read the state to go on from, if there is one.

    Raises:
        TrainingError: a run is in the folder and `resume` is False, or its checkpoint cannot be
            read.
        InvalidConfig: it has another config.
    """
    if not member.folder.start(resume):
        return None
    state = checkpoint.load(member.folder.checkpoint, member.config.model.architecture)
    check_same(state["config"], member.config)
    return state


def begun_statistics(
    members: Sequence[Member], states: Sequence[State | None]
) -> Statistics | None:
    """Statistics of the members that have begun, which are those of all; none where none has."""
    begun = [
        member.folder for member, state in zip(members, states, strict=True) if state is not None
    ]
    return begun[0].saved_statistics() if begun else None


def begin(
    member: Member,
    problem: Problem,
    device: torch.device,
    base: Base | None,
    number: int,
    group: ProcessGroup,
) -> State:
    """Write what is known before the first step, and a checkpoint; member i of a committee starts
    from the base's.
    """
    weights = None if base is None else base.weights[number % len(base.weights)]
    trainer = Trainer(member.config, problem, member.folder, device, weights, group)
    if group.is_first:
        held_out = problem.frames.test or problem.frames.validation
        origin = None if base is None else base.origin
        member.folder.write_setting(member.config, problem.statistics, held_out, origin)
    trainer.save()
    return trainer.state()


def go_on(
    member: Member,
    problem: Problem,
    device: torch.device,
    state: State,
    watch: Watch,
    group: ProcessGroup,
) -> dict[str, Any] | None:
    """Train from a state to the end, and evaluate in the first process."""
    trainer = Trainer(member.config, problem, member.folder, device, group=group)
    trainer.load(state)
    if member.config.tensorboard and group.is_first:
        trainer.board = Board(member.folder.board, trainer.progress.step)
    try:
        reason = train(trainer, watch)
    finally:
        if trainer.board is not None:
            trainer.board.close()
    return finish(trainer, reason) if group.is_first else None


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
    from app.training.evaluation.plots import learning_curve, parity

    folder, peak = trainer.folder, hardware.peak_mebibytes(trainer.device)
    trainer.model.load_state_dict(load_file(folder.weights))
    found: dict[str, Errors] = {}
    for name, part in final_sets(trainer.problem.frames).items():
        values, labelled = predict_all(trainer, part), list(part)
        found[name] = errors(values, labelled)
        parity(folder.parity, f"{folder.path.name}, {name}", labelled, values)
    learning_curve(folder.learning_curve, folder.lines())
    result = {
        **errors_by_set(found),
        "training_frames": len(trainer.problem.frames.train),
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "steps": trainer.progress.step,
        "epochs": trainer.progress.epoch,
        "best_step": trainer.progress.best_step,
        "stopped_by": reason,
        **{name: round(value, 1) for name, value in trainer.elapsed().items()},
        "peak_mebibytes": peak,
        "hardware": hardware.describe(trainer.device),
        "dtype": trainer.config.dtype,
    }
    folder.write_result(result)
    return result


def final_sets(frames: Frames) -> dict[str, Dataset]:
    """What the final evaluation looks at: some of the training frames, and the other sets that
    there are.
    """
    sample = np.random.default_rng(0).permutation(len(frames.train))[:TRAIN_SAMPLE]
    sets = {
        "train": frames.train.take(np.sort(sample)),
        "validation": frames.validation,
        "test": frames.test,
    }
    return {name: part for name, part in sets.items() if part}


def errors_by_set(found: Mapping[str, Errors]) -> dict[str, Any]:
    """Errors as `metrics.json` has them."""
    return {name: e.model_dump(exclude_none=True) for name, e in found.items()}


def predict_all(trainer: Trainer, frames: Dataset) -> Values:
    """What the trainer's model says about some frames."""
    collator = Collator(frames, trainer.problem.statistics)
    return predict_frames(
        trainer.model, collator, evaluation_batch_size(trainer.config), trainer.device
    )


def check_same(old: dict[str, Any], config: TrainConfig) -> None:
    """Make sure that a run goes on with the config that it began with; keys that are newer have
    their defaults.

    Raises:
        InvalidConfig: naming each key that differs, with both values.
    """
    allowed = MAY_CHANGE if config.schedule.kind in OVER_EPOCHS else (*MAY_CHANGE, "epochs")
    before = parse_config(old, "the config of the checkpoint").model_dump(mode="json")
    found = differences(before, config.model_dump(mode="json"))
    changed = [
        f"{key} was {was!r}, is {now!r}" for key, (was, now) in found.items() if key not in allowed
    ]
    if changed:
        raise InvalidConfig(
            f"--resume with another config: {'; '.join(changed)}. Only {', '.join(allowed)} may change"
        )
