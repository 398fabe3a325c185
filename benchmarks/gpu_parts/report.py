"""What a section has to say: tables, and what it could not do and why. Standard library only."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Cell = str | float | int | bool | None


@dataclass(frozen=True)
class Setup:
    """What every section is given.

    Attributes:
        options: the command line.
        artifacts: folder of the models with random weights, made when they are first asked for.
    """

    options: argparse.Namespace
    artifacts: Path

    @property
    def device(self) -> str:
        """The device that is measured: `cuda`, `cuda:1`, or `cpu` to try the script."""
        return str(self.options.device)

    @property
    def quick(self) -> bool:
        """Whether only to see that everything runs."""
        return bool(self.options.quick)

    @property
    def seconds(self) -> float:
        """Time for each median."""
        return 0.02 if self.quick else float(self.options.seconds)


@dataclass
class Report:
    """Rows under common columns, and remarks.

    Attributes:
        columns: names.
        rows: values.
        notes: what is to be known of them.
        missing: what could not be measured, and why.
        failed: whether something is wrong, rather than absent.
    """

    columns: Sequence[str]
    rows: list[Sequence[Cell]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failed: bool = False

    def lacks(self, what: str, why: object) -> None:
        """Remember what could not be measured."""
        self.missing.append(f"{what}: {_one_line(why)}")

    def markdown(self) -> str:
        """The table, and below it what is to be known."""
        lines = []
        if self.rows:
            lines = [
                _row(self.columns),
                _row(["---"] * len(self.columns)),
                *(_row(map(_shown, r)) for r in self.rows),
                "",
            ]
        lines += [f"- {note}" for note in self.notes]
        lines += [f"- NOT MEASURED: {what}" for what in self.missing]
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"rows": rows, "notes": self.notes, "missing": self.missing, "failed": self.failed}


def _one_line(why: object) -> str:
    text = f"{type(why).__name__}: {why}" if isinstance(why, BaseException) else str(why)
    return " ".join(text.split())[:400]


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
