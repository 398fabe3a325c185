"""Whole runs: data, training, final evaluation, and the run folders; one model, or the members of a
committee.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from app.errors import InvalidConfig, TrainingError
from app.store.card import Origin
from app.store.store import ModelStore
from app.training.data.batches import Collator
from app.training.data.dataset import Dataset
from app.training.data.load import Finder
from app.training.evaluation.errors import Values, predict_frames
from app.training.evaluation.judge import judge
from app.training.evaluation.sets import evaluate_sets
from app.training.loop import hardware
from app.training.loop.distributed import ALONE, ProcessGroup
from app.training.loop.problem import Problem, load_problem
from app.training.loop.progress import Watch
from app.training.loop.tensorboard import Board
from app.training.loop.trainer import Trainer
from app.training.loop.validation import evaluation_batch_size
from app.training.models import Statistics
from app.training.runs import checkpoint
from app.training.runs.base import DEFAULT_STORE, Base, start_of
from app.training.runs.config import TrainConfig
from app.training.runs.config_file import differences, parse_config
from app.training.runs.folder import RunFolder

MAY_CHANGE = (
    "max_minutes",
    "patience",
    "checkpoint_steps",
    "checkpoint_minutes",
    "step",
    "device",
    "threads",
    "edges_at_once",
    "tensorboard",
)
"""Keys that may differ when a run is resumed: when it stops, and what it runs on."""
OVER_EPOCHS = ("cosine", "exponential")
"""Schedules that depend on the number of epochs; with the others it may change, too."""
State = dict[str, Any]


@dataclass(frozen=True)
class Member:
    """What to train, and where to write."""

    config: TrainConfig
    folder: RunFolder


class Run:
    """A run: `begin` or `resume` it, then `finish` it.

    Args:
        member: what to train, and where to write.
        problem: what is to be learnt.
        device: where to train.
        group: the processes that train.
        weights: those to start from; random ones by default.
    """

    def __init__(
        self,
        member: Member,
        problem: Problem,
        device: torch.device,
        group: ProcessGroup = ALONE,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.config, self.folder, self.group = member.config, member.folder, group
        self.problem, self.device = problem, device
        self.trainer = Trainer(self.config, problem, self.folder, device, weights, group)

    def begin(self, origin: Origin | None = None) -> None:
        """Write what is known before the first step, and a checkpoint.

        Args:
            origin: the model whose weights the run starts from.
        """
        if self.group.is_first:
            held_out = self.problem.frames.test or self.problem.frames.validation
            self.folder.write_setting(self.config, self.problem.statistics, held_out, origin)
        self.trainer.save()

    def resume(self, state: State) -> None:
        """Go on from a checkpoint's state."""
        self.trainer.load(state)

    def finish(self, watch: Watch) -> dict[str, Any] | None:
        """Train to the end, and evaluate the best weights.

        Args:
            watch: told of each step and evaluation.

        Returns:
            The content of `metrics.json`; nothing in processes but the first.

        Raises:
            TrainingError: the training was interrupted, or blew up.
        """
        with self._board():
            reason = self.train(watch)
        return self.evaluate(reason) if self.group.is_first else None

    def train(self, watch: Watch) -> str:
        """Train to the end, with a checkpoint and an evaluation there; returns why it ended.

        Raises:
            TrainingError: it was interrupted, or blew up.
        """
        trainer = self.trainer
        reason = trainer.fit(watch)
        trainer.save()
        if reason == "interrupted":
            step = trainer.progress.step
            raise TrainingError(f"interrupted after step {step}; go on with --resume")
        if trainer.progress.sums[-1]:
            watch.evaluated(trainer.evaluate())
        return reason

    def evaluate(self, reason: str) -> dict[str, Any]:
        """Evaluate the best weights on all sets, and write metrics and plots; returns the metrics.

        Args:
            reason: why the training ended.
        """
        from app.training.evaluation.plots import learning_curve

        trainer, folder, progress = self.trainer, self.folder, self.trainer.progress
        peak = hardware.peak_mebibytes(self.device)
        trainer.model.load_state_dict(load_file(folder.weights))
        by_set = evaluate_sets(self.problem.frames, self.predict, folder.path, folder.parity)
        learning_curve(folder.learning_curve, folder.lines())
        result = {
            **by_set,
            **self.judge(),
            "training_frames": len(self.problem.frames.train),
            "parameters": sum(p.numel() for p in trainer.model.parameters()),
            "steps": progress.step,
            "epochs": progress.epoch,
            "best_step": progress.best_step,
            "stopped_by": reason,
            **{name: round(value, 1) for name, value in trainer.elapsed().items()},
            "peak_mebibytes": peak,
            "hardware": hardware.describe(self.device),
            "dtype": self.config.dtype,
        }
        folder.write_result(result)
        return result

    def judge(self) -> dict[str, Any]:
        """Fit the estimates of the model's errors, and draw how well they do; their part of the
        metrics.
        """
        from app.training.evaluation.plots import error_against_std

        model, size = self.trainer.model, evaluation_batch_size(self.config)
        judged = judge(model, self.problem.train, self.problem.validation, size, self.device)
        if judged is None:
            return {}
        self.folder.write_uncertainty(judged.uncertainty.state_dict())
        title = f"{self.folder.path.name}, held-out frames"
        error_against_std(self.folder.calibration, title, *judged.forces)
        return {"uncertainty": judged.judgement.model_dump()}

    def predict(self, frames: Dataset) -> Values:
        """What the model says about some frames, in their order."""
        collator = Collator(frames, self.problem.statistics)
        size = evaluation_batch_size(self.config)
        return predict_frames(self.trainer.model, collator, size, self.device)

    @contextmanager
    def _board(self) -> Iterator[None]:
        """Metrics go to TensorBoard within the block, if they are wanted there."""
        if not (self.config.tensorboard and self.group.is_first):
            yield
            return
        board = Board(self.folder.board, self.trainer.progress.step)
        self.trainer.board = board
        try:
            yield
        finally:
            board.close()


def train_model(
    config: TrainConfig,
    folder: RunFolder,
    find: Finder,
    watch: Watch,
    resume: bool = False,
    store: ModelStore = DEFAULT_STORE,
    group: ProcessGroup = ALONE,
) -> dict[str, Any] | None:
    """Train a model, or go on with it, and evaluate the best weights.

    Args:
        config: what to do.
        folder: where to write.
        find: from the config's paths to files.
        watch: told of each step and evaluation.
        resume: go on from the folder's checkpoint, if it has one.
        store: where the model may be that the run starts from.
        group: the processes of the run.

    Returns:
        The content of `metrics.json`; nothing in processes but the first.

    Raises:
        TrainingError: a run is in the folder already, its config or format is another, or training
            blew up.
        InvalidData: naming file and frame.
        StoreError: the model to start from cannot be read.
    """
    _, results = train_members([Member(config, folder)], find, watch, resume, store, group)
    return results[0] if results else None


def train_members(
    members: Sequence[Member],
    find: Finder,
    watch: Watch,
    resume: bool,
    store: ModelStore,
    group: ProcessGroup,
) -> tuple[Problem, list[dict[str, Any]]]:
    """Train runs that share all but the seed, one after the other; see `train_model`.

    Every run has a checkpoint before the first one begins to train, so that what it starts from is
    read only once. Member i starts from that of the members' base.

    Returns:
        Data and statistics, which all share, and the content of each one's `metrics.json` (in the
        first process).
    """
    config = members[0].config
    with group.together():
        device = hardware.set_up(config, group.local_rank)
    states = group.share(lambda: [saved_state(member, resume) for member in members])
    base = group.share(lambda: start_of(config, store)) if None in states else None
    statistics = group.share(lambda: begun_statistics(members, states))
    problem = load_once(config, find, base, statistics, group)
    runs: deque[Run] = deque()
    for number, (member, state) in enumerate(zip(members, states, strict=True)):
        if state is not None:
            runs.append(Run(member, problem, device, group))
            runs[-1].resume(state)
        else:
            weights = None if base is None else base.weights[number % len(base.weights)]
            runs.append(Run(member, problem, device, group, weights))
            runs[-1].begin(None if base is None else base.origin)
    results = []
    while runs:
        run = runs.popleft()
        if len(members) > 1:
            watch.began(run.folder.path.name)
        results.append(run.finish(watch))
    return problem, [result for result in results if result is not None]


def load_once(
    config: TrainConfig,
    find: Finder,
    base: Base | None,
    statistics: Statistics | None,
    group: ProcessGroup,
) -> Problem:
    """See `load_problem`; the first process fills the cache, if there is one, before the others
    read it.
    """
    with group.together():
        now = group.is_first or find.cache is None
        problem = load_problem(config, find, base, statistics) if now else None
    with group.together():
        problem = problem or load_problem(config, find, base, statistics)
    return problem


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
    begun = (
        member.folder for member, state in zip(members, states, strict=True) if state is not None
    )
    folder = next(begun, None)
    return None if folder is None else folder.saved_statistics()


def check_same(old: dict[str, Any], config: TrainConfig) -> None:
    """Make sure that a run goes on with the config that it began with; keys that are newer have
    their defaults.

    Raises:
        InvalidConfig: naming each key that differs, with both values.
    """
    allowed = MAY_CHANGE if config.schedule.kind in OVER_EPOCHS else (*MAY_CHANGE, "epochs")
    before = parse_config(old, "the config of the checkpoint").model_dump(mode="json")
    changed = [
        f"{key} was {was!r}, is {now!r}"
        for key, (was, now) in differences(before, config.model_dump(mode="json")).items()
        if key not in allowed
    ]
    if changed:
        raise InvalidConfig(
            f"--resume with another config: {'; '.join(changed)}. Only {', '.join(allowed)} may change"
        )
