"""Records of finished runs: what is kept of them in `recipes/records/runs`."""

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

RUNS = Path(__file__).resolve().parent / "runs"


@dataclass(frozen=True)
class Record:
    """One run, as `recipes.records.collect` keeps it in `<runs>/<data>/<name>`."""

    folder: Path

    @property
    def data(self) -> str:
        """The data set, as in `recipes.records.published`."""
        return self.folder.parent.name

    @property
    def name(self) -> str:
        """What tells the run from others on the same data."""
        return self.folder.name

    @cached_property
    def config(self) -> dict[str, Any]:
        """The complete config."""
        content: dict[str, Any] = yaml.safe_load(
            (self.folder / "config.yaml").read_text(encoding="utf-8")
        )
        return content

    @cached_property
    def result(self) -> dict[str, Any]:
        """The final metrics."""
        content: dict[str, Any] = json.loads(
            (self.folder / "metrics.json").read_text(encoding="utf-8")
        )
        return content

    @cached_property
    def lines(self) -> list[dict[str, float]]:
        """Evaluations over the run; some of them."""
        return read_lines(self.folder / "metrics.csv")

    @property
    def test(self) -> dict[str, Any]:
        """Errors on the test set."""
        found: dict[str, Any] = self.result["test"]
        return found

    @property
    def epochs(self) -> int:
        """Epochs trained, of each member where there are several."""
        members = list(self.result.get("members", {}).values())
        return int((members[0] if members else self.result)["epochs"])

    @property
    def hours(self) -> float:
        """Wall time."""
        return float(self.result["seconds"]) / 3600

    @property
    def cpu_hours(self) -> float | None:
        """Processor time, where the run has measured it."""
        seconds = self.result.get("cpu_seconds")
        return None if seconds is None else float(seconds) / 3600

    @property
    def gibibytes(self) -> float | None:
        """Largest memory of the training, where it was recorded."""
        peak = self.result.get("peak_mebibytes")
        return None if peak is None else float(peak) / 1024

    @property
    def model(self) -> str:
        """What was trained, in the words of the published figures."""
        model = self.config["model"]
        if name := {"allegro": "Allegro", "nequip": "NequIP"}.get(model["architecture"]):
            return name
        messages = "non-linear" if model["nonlinear_messages"] else "linear"
        return f"Equiformer, {messages}, {'MLP' if model['attention'] == 'mlp' else 'dot product'}"


def records(runs: Path = RUNS) -> list[Record]:
    """All records, by data set and name."""
    return [Record(path.parent) for path in sorted(runs.glob("*/*/metrics.json"))]


def read_lines(path: Path) -> list[dict[str, float]]:
    """The lines of a `metrics.csv`."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
