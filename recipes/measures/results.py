"""What a measurement found: a table for people, a file for programs."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes.measures.model import Model


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in markdown; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("| --- |" + " ---: |" * (len(head) - 1))
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def deviations(errors: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Mean absolute, root mean square and 99th percentile of the absolute errors."""
    if len(errors) == 0:
        return None, None, None
    absolute = np.abs(np.asarray(errors))
    square = float(np.sqrt((absolute**2).mean()))
    return float(absolute.mean()), square, float(np.quantile(absolute, 0.99))


def publish(
    options: argparse.Namespace, model: Model, tables: Sequence[str], values: dict[str, Any]
) -> None:
    """Print the tables; write them with the values into `--output`, if there is one.

    The file, `NAME.json`, says which model was measured and by which command.
    """
    name = Path(sys.argv[0]).stem
    text = "\n\n".join(tables)
    if options.output is not None:
        _write(options.output, name, model, text, values)
    print(f"{model.potential.reference}\n\n{text}")


def _write(output: Path, name: str, model: Model, text: str, values: dict[str, Any]) -> None:
    recipe = Path(sys.argv[0]).parent.name
    content = {
        "measurement": name,
        "model": model.potential.reference,
        "digest": model.potential.digest,
        "runs_on": model.potential.runs_on,
        "command": ["python", "-m", f"recipes.{recipe}.{name}", *sys.argv[1:]],
        "tables": text,
        "values": values,
    }
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{name}.json"
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
