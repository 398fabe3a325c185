"""The folder of a training run, and the files in it."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from app.atoms.structure import Structure
from app.errors import InvalidConfig, TrainingError
from app.store.card import Origin
from app.store.store import CARD
from app.training.data.frames import LabelledFrame
from app.training.models import Statistics
from app.training.runs.checkpoint import write_atomically
from app.training.runs.config import TrainConfig
from app.training.runs.config_file import dump_config

HELD_OUT = 64
"""Frames kept for the export's certificate."""


class RunFolder:
    """Where a run writes.

    Attributes:
        path: the folder; holds `config.yaml` (complete), `statistics.json`, `checkpoint.pt`,
            `weights.safetensors` (the best averaged weights), `metrics.csv` (a line an evaluation),
            `metrics.json` (the result), `uncertainty.safetensors` (the head that estimates errors)
            and `calibration.png` (how well it does), `tensorboard` (a folder, if asked for), `heldout.xyz`,
            `parity.png`, `learning_curve.png` and, if the run began with the weights of a model,
            `origin.json`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.statistics = path / "statistics.json"
        self.origin = path / "origin.json"
        self.checkpoint = path / "checkpoint.pt"
        self.weights = path / "weights.safetensors"
        self.curve = path / "metrics.csv"
        self.board = path / "tensorboard"
        self.uncertainty = path / "uncertainty.safetensors"
        self.calibration = path / "calibration.png"
        self.result = path / "metrics.json"
        self.held_out = path / "heldout.xyz"
        self.parity = path / "parity.png"
        self.learning_curve = path / "learning_curve.png"

    def start(self, resume: bool) -> bool:
        """Make the folder, or find the run to go on with.

        Args:
            resume: whether a run may be there.

        Returns:
            Whether there is a checkpoint to go on from.

        Raises:
            TrainingError: a run is there and `resume` is False, or a committee is there.
        """
        if self.config.exists() and not resume:
            raise TrainingError(
                f"{self.path} holds a run; go on with --resume, or choose another folder with --run"
            )
        if seeds := CommitteeFolder(self.path).seeds():
            raise TrainingError(_other_committee(self.path, seeds))
        _make(self.path)
        return resume and self.checkpoint.exists()

    def write_setting(
        self,
        config: TrainConfig,
        statistics: Statistics,
        held_out: Sequence[LabelledFrame],
        origin: Origin | None = None,
    ) -> None:
        """Write what is known before the first step."""
        _write_text(self.statistics, statistics.model_dump_json(indent=2) + "\n")
        if origin is not None:
            _write_text(self.origin, origin.model_dump_json(indent=2) + "\n")
        spread = held_out[:: max(1, -(-len(held_out) // HELD_OUT))]
        text = io.StringIO()
        ase.io.write(text, [to_atoms(frame) for frame in spread], format="extxyz")
        _write_text(self.held_out, text.getvalue())
        _write_text(self.config, dump_config(config))

    def saved_statistics(self) -> Statistics:
        """What `write_setting` wrote.

        Raises:
            TrainingError: it is not there.
        """
        try:
            return Statistics.model_validate_json(self.statistics.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TrainingError(
                f"{self.statistics} is missing; it belongs to the weights"
            ) from None

    def write_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Replace the best weights."""
        _write_tensors(self.weights, weights)

    def write_uncertainty(self, head: Mapping[str, Tensor]) -> None:
        """Write the head that estimates the errors of the best weights."""
        _write_tensors(self.uncertainty, head)

    def add_line(self, values: Mapping[str, float | int]) -> None:
        """Add the line of one evaluation to the metrics.

        Raises:
            TrainingError: the disk is full, say.
        """
        fresh = not self.curve.exists()
        try:
            with self.curve.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(values), lineterminator="\n")
                if fresh:
                    writer.writeheader()
                writer.writerow(
                    {key: f"{v:.8g}" if isinstance(v, float) else v for key, v in values.items()}
                )
        except OSError as error:
            raise TrainingError(f"{self.curve}: cannot be written: {error.strerror}") from error

    def keep_lines(self, count: int) -> None:
        """Drop the lines of evaluations after the first ones, which will be made again."""
        if self.curve.exists():
            lines = self.curve.read_text(encoding="utf-8").splitlines(keepends=True)
            _write_text(
                self.curve, "".join(lines[: count + 1]) if count else ""
            ) if count else self.curve.unlink()

    def lines(self) -> list[dict[str, float]]:
        """The lines of the metrics."""
        if not self.curve.exists():
            return []
        with self.curve.open(newline="", encoding="utf-8") as file:
            return [
                {key: float(value) for key, value in row.items()} for row in csv.DictReader(file)
            ]

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write the final metrics."""
        _write_text(self.result, json.dumps(result, indent=2) + "\n")


class CommitteeFolder:
    """Where a committee writes.

    Attributes:
        path: the folder; holds `committee.json` (the members' seeds), a run folder `seed-…` for
            each member, and `metrics.json` and `parity.png` of the whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.list = path / "committee.json"
        self.uncertainty = path / "uncertainty.safetensors"
        self.calibration = path / "calibration.png"
        self.result = path / "metrics.json"
        self.parity = path / "parity.png"

    def members(self) -> list[RunFolder]:
        """The run folders of the members; none where the folder holds no committee."""
        return [self.member(seed) for seed in self.seeds()]

    def member(self, seed: int) -> RunFolder:
        """The run folder of the member with this seed."""
        return RunFolder(self.path / f"seed-{seed}")

    def start(self, seeds: Sequence[int], resume: bool) -> None:
        """Make the folder, or find the committee to go on with.

        Args:
            seeds: of the members.
            resume: whether a committee may be there.

        Raises:
            TrainingError: something is there and `resume` is False, or it is not this committee.
        """
        present = self.seeds()
        if present and not (resume and present == list(seeds)):
            raise TrainingError(_other_committee(self.path, present))
        if RunFolder(self.path).config.exists():
            raise TrainingError(
                f"{self.path} holds a single run; choose another folder with --run, or no --seeds"
            )
        _make(self.path)
        _write_text(self.list, json.dumps({"seeds": list(seeds)}) + "\n")

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write the final metrics of the whole."""
        _write_text(self.result, json.dumps(result, indent=2) + "\n")

    def seeds(self) -> list[int]:
        """Seeds of the members; none where the folder holds no committee."""
        if not self.list.is_file():
            return []
        seeds: list[int] = json.loads(self.list.read_text(encoding="utf-8"))["seeds"]
        return seeds


def to_atoms(frame: LabelledFrame) -> Atoms:
    """A labelled frame as ASE's atoms."""
    structure: Structure = frame.structure
    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    results = {"forces": frame.forces} if frame.has_forces else {}
    if frame.stress is not None:
        results["stress"] = frame.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    atoms.calc = SinglePointCalculator(atoms, energy=frame.energy, **results)
    return atoms


def is_run(path: Path) -> bool:
    """Whether a folder holds a run or a committee, rather than a version of the store."""
    holds_run = RunFolder(path).config.is_file() or CommitteeFolder(path).list.is_file()
    return holds_run and not (path / CARD).is_file()


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidConfig(f"--run {path}: {error.strerror}") from error


def _other_committee(path: Path, seeds: Sequence[int]) -> str:
    how = f"--set seed={seeds[0]} --seeds {len(seeds)} --resume"
    return f"{path} holds a committee; go on with {how}, or choose another folder with --run"


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    content = safetensors_bytes({name: tensor.contiguous() for name, tensor in tensors.items()})
    write_atomically(path, lambda file: file.write(content))


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))
