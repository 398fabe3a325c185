"""Committees: runs that differ in their seed only, whose mean is the answer and whose spread is its
uncertainty.
"""

from collections.abc import Mapping
from typing import Any

import torch

from app.errors import InvalidConfig
from app.store.store import ModelStore
from app.training.data.batches import Collator
from app.training.data.dataset import Dataset
from app.training.data.load import Finder
from app.training.evaluation.errors import Values
from app.training.evaluation.predictors import predict_committee
from app.training.evaluation.sets import evaluate_sets
from app.training.loop import hardware
from app.training.loop.distributed import ALONE, ProcessGroup
from app.training.loop.problem import Problem
from app.training.loop.progress import Watch
from app.training.loop.validation import evaluation_batch_size
from app.training.run import Member, train_members
from app.training.runs.base import DEFAULT_STORE
from app.training.runs.config import TrainConfig
from app.training.runs.folder import CommitteeFolder
from app.training.runs.trained import TrainedRun

COLUMNS = (
    ("meV/atom", "energy_per_atom_mae"),
    ("RMSE", "energy_per_atom_rmse"),
    ("meV/Å", "forces_mae"),
    ("RMSE", "forces_rmse"),
)


def run_committee(
    config: TrainConfig,
    seeds: int,
    folder: CommitteeFolder,
    find: Finder,
    watch: Watch,
    resume: bool = False,
    store: ModelStore = DEFAULT_STORE,
    group: ProcessGroup = ALONE,
) -> dict[str, Any] | None:
    """Train the members of a committee one after the other, and evaluate them and their mean.

    Args:
        config: of each member, but for the seed; the first one has the config's.
        seeds: number of members.
        folder: where to write.
        find: from the config's paths to files.
        watch: told of each step and evaluation.
        resume: go on with the committee in the folder.
        store: where the model may be that the members start from.
        group: the processes that train.

    Returns:
        The content of `metrics.json`; nothing in processes but the first.

    Raises:
        InvalidConfig: fewer than two members.
        TrainingError: something else is in the folder; and as for `app.training.run.train_model`.
    """
    if seeds < 2:
        raise InvalidConfig(
            f"--seeds {seeds}: a committee has at least 2 members; leave it out for a single run"
        )
    numbers = [config.seed + i for i in range(seeds)]
    group.share(lambda: folder.start(numbers, resume))
    configs = [config.model_copy(update={"seed": seed}) for seed in numbers]
    members = [Member(c, folder.member(c.seed)) for c in configs]
    problem, results = train_members(members, find, watch, resume, store, group)
    if not group.is_first:
        return None
    result = {
        **evaluate_committee(config, folder, problem),
        **{key: results[0][key] for key in ("training_frames", "hardware", "dtype")},
        **{
            key: round(sum(r[key] for r in results), 1)
            for key in ("parameters", "steps", "seconds", "cpu_seconds")
        },
        "members": {m.folder.path.name: r for m, r in zip(members, results, strict=True)},
    }
    folder.write_result(result)
    return result


def evaluate_committee(
    config: TrainConfig, folder: CommitteeFolder, problem: Problem
) -> dict[str, Any]:
    """Errors of the members' mean on all sets, as `metrics.json` has them."""
    device = hardware.set_up(config)
    dtype, size = getattr(torch, config.dtype), evaluation_batch_size(config)
    models = [model.to(device) for model in TrainedRun(folder.path).models(dtype)]

    def predict(frames: Dataset) -> Values:
        return predict_committee(models, Collator(frames, problem.statistics), size, device)

    return evaluate_sets(problem.frames, predict, folder.path, folder.parity)


def committee_table(result: Mapping[str, Any]) -> str:
    """Errors of each member and of the committee, for people."""
    titles = "".join(f"{title:>12}" for title, _ in COLUMNS)
    lines = [f"{'set':<12}{'model':<12}{titles}   (MAE and RMSE of energies and forces)"]
    for name in ("train", "validation", "test"):
        if name in result:
            rows = {
                **{seed: member[name] for seed, member in result["members"].items()},
                "committee": result[name],
            }
            lines += [f"{name:<12}{model:<12}{_numbers(errors)}" for model, errors in rows.items()]
    return "\n".join(lines)


def _numbers(errors: Mapping[str, Any]) -> str:
    return "".join(f"{errors[key]:>12.2f}" if key in errors else f"{'-':>12}" for _, key in COLUMNS)
