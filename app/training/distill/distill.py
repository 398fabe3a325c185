"""Distillation: a small model learns what a large one says of some structures and their like.

In round 0 the given structures are distorted; in each later one the small model moves them itself, so
that it is taught where it goes. All that was sampled so far is labelled by the large one, the teacher,
and learnt, from the weights of the round before. A last round is labelled, not learnt: it tests the
result where the small model goes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read, write

from app.errors import InvalidFormat, InvalidRequest, TrainingError
from app.labelling.label import Reference, label
from app.store.store import ModelStore
from app.training.data.load import Finder
from app.training.distill.sampling import distorted, visited
from app.training.export.publish import About, export
from app.training.loop.progress import Watch
from app.training.run import train_model
from app.training.runs.config import TrainConfig
from app.training.runs.config_file import parse_config
from app.training.runs.folder import RunFolder
from app.training.runs.trained import TrainedRun
from equipot import EquipotCalculator

STUDENT: Mapping[str, Any] = {
    "model": {
        "architecture": "allegro",
        "cutoff": 5.0,
        "num_layers": 1,
        "num_scalars": 32,
        "num_tensors": 8,
        "two_body_mlp": [32],
        "latent_mlp": [32],
    },
    "epochs": 60,
    "ema": 0.99,
}
"""What is trained where nothing else is said: one layer, fast."""


@dataclass(frozen=True)
class Distillation:
    """What to do.

    Attributes:
        teacher: that labels.
        structures: to begin from.
        folder: where everything goes; what is there already is not done again.
        config: of the training, without `data` and `start`.
        rounds: of sampling by the student, after the first, distorted ones.
        frames: sampled in each round.
        temperatures: K, of the student's dynamics.
        interval: steps of dynamics between two samples.
        timestep: fs.
        seed: of all random numbers.
        processes: of labelling.
    """

    teacher: Reference
    structures: Sequence[Atoms]
    folder: Path
    config: Mapping[str, Any]
    rounds: int = 2
    frames: int = 200
    temperatures: tuple[float, ...] = (300.0, 600.0)
    interval: int = 50
    timestep: float = 1.0
    seed: int = 0
    processes: int = 1


def distill(
    task: Distillation, watch: Callable[[TrainConfig], Watch], say: Callable[[str], None]
) -> Path:
    """Do what is not done yet.

    Args:
        task: what to do.
        watch: told of each training.
        say: told of each step, in a line.

    Returns:
        The folder of the last run.

    Raises:
        InvalidConfig: a config with a key that is none, or with data of its own.
        TrainingError: the teacher labelled nothing of a round.
    """
    for key in ("data", "start"):
        if key in task.config:
            raise InvalidRequest(f"config: {key} is what the distillation states; leave it out")
    previous: Path | None = None
    for number in range(task.rounds + 1):
        _sampled(task, number, previous, say)
        run = task.folder / f"run-{number}"
        if not RunFolder(run).result.is_file():
            config = _config(task, number, previous)
            say(f"round {number}: training on the labels of {number + 1} rounds")
            begun = RunFolder(run).checkpoint.is_file()
            train_model(config, RunFolder(run), Finder(task.folder), watch(config), resume=begun)
        previous = run
    assert previous is not None
    _sampled(task, task.rounds + 1, previous, say)
    return previous


def held_out(task: Distillation) -> Path:
    """The labels of the last round, which no student has learnt."""
    return _round(task, task.rounds + 1) / "labelled.xyz"


def _round(task: Distillation, number: int) -> Path:
    return task.folder / f"round-{number}"


def _sampled(task: Distillation, number: int, run: Path | None, say: Callable[[str], None]) -> None:
    """Sample and label a round."""
    folder = _round(task, number)
    folder.mkdir(parents=True, exist_ok=True)
    geometries = folder / "geometries.xyz"
    if not geometries.exists():
        random = np.random.default_rng([task.seed, number])
        if run is None:
            frames = distorted(task.structures, task.frames, random)
        else:
            frames = visited(
                task.structures,
                student(run),
                task.temperatures,
                task.frames,
                task.interval,
                task.timestep,
                random,
            )
        if not frames:
            raise TrainingError(
                f"round {number}: the model of {run} cannot follow any structure for "
                f"{task.interval} steps; train it longer, or sample more frames in a round"
            )
        written = geometries.with_suffix(".partial")
        write(written, frames, format="extxyz")
        written.replace(geometries)
    say(f"round {number}: labelling")
    summary = label([geometries], folder / "labelled.xyz", task.teacher, task.processes)
    say(f"round {number}: {summary.labelled} frames labelled, {summary.failed} failed")
    if not summary.labelled:
        raise TrainingError(
            f"round {number}: the teacher labelled nothing; {folder}/labelled.xyz.failures.jsonl "
            "says why"
        )


def _config(task: Distillation, number: int, previous: Path | None) -> TrainConfig:
    """Of a round's training: all labels so far, from the weights of the round before."""
    sources = [f"round-{each}/labelled.xyz" for each in range(number + 1)]
    content: dict[str, Any] = {
        "seed": task.seed,
        **task.config,
        "data": {"train": sources, "split": {"validation": 0.1, "seed": task.seed}},
    }
    if previous is not None:
        content["start"] = {"model": str(previous), "references": "refit"}
    return parse_config(content, "the distillation's config")


def student(run: Path) -> EquipotCalculator:
    """The model of a run, certified and opened; it is kept in a store of the run's own."""
    store = ModelStore(run / "store")
    if not (run / "store" / "student").exists():
        export(TrainedRun(run), store, "student", About(description="a step of a distillation"))
    return EquipotCalculator("student", run / "store", threads=1)


def read_structures(path: Path) -> list[Atoms]:
    """The structures of a file in any format that ASE reads.

    Raises:
        InvalidFormat: it cannot be read, or holds nothing.
    """
    try:
        structures = read(path, index=":")
    except Exception as error:  # readers of ASE raise anything
        raise InvalidFormat(f"cannot read {path}: {type(error).__name__}: {error}") from error
    if not structures:
        raise InvalidFormat(f"{path} holds no structure")
    return list(structures)


def write_task(task: Distillation) -> None:
    """Note what the folder is made of; refuse one that is made of something else.

    Raises:
        InvalidRequest: naming what differs.
    """
    path = task.folder / "distillation.json"
    stated: dict[str, Any] = {
        "calculator": task.teacher.calculator,
        "options": dict(task.teacher.options),
        "config": dict(task.config),
        "frames": task.frames,
        "temperatures": list(task.temperatures),
        "interval": task.interval,
        "timestep": task.timestep,
        "seed": task.seed,
        "structures": [
            [atoms.numbers.tolist(), atoms.positions.tolist(), atoms.cell.tolist()]
            for atoms in task.structures
        ],
    }
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key, value in stated.items() if known.get(key) != value]
        if changed:
            raise InvalidRequest(
                f"--output {task.folder} was begun with other {', '.join(changed)}; "
                "state the same, or choose another folder"
            )
        return
    task.folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")
