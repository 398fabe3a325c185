"""Pictures of a run: predicted against labelled values, and errors over time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from app.structure import Floats
from app.training.checkpoint import write_atomically
from app.training.evaluate import Values, labels
from app.training.frames import LabelledFrame

MOST_POINTS = 20_000


def parity(path: Path, title: str, frames: Sequence[LabelledFrame], predicted: Values) -> None:
    """Draw predictions against labels: energies per atom, less their mean, and force components.

    Args:
        path: a PNG file.
        title: drawn above.
        frames: the labelled frames.
        predicted: what the model says about them.
    """
    expected = labels(frames)
    n_atoms = np.array([len(f.structure) for f in frames])
    mean = (expected.energy / n_atoms).mean()
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _against(left, expected.energy / n_atoms - mean, predicted.energy / n_atoms - mean, "energy per atom − mean, eV")
    known = np.isfinite(expected.forces)
    if known.any():
        _against(right, expected.forces[known], predicted.forces[known], "force component, eV/Å")
    figure.suptitle(title)
    _save(figure, path)


def learning_curve(path: Path, lines: Sequence[Mapping[str, float]]) -> None:
    """Draw losses and validation errors over steps.

    Args:
        path: a PNG file.
        lines: those of `metrics.csv`.
    """
    steps = [line["step"] for line in lines]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for key in ("train_total", "validation_loss"):
        left.plot(steps, [line[key] for line in lines], label=key.replace("_total", " loss").replace("_", " "))
    right.plot(steps, [line["forces_mae"] for line in lines], label="forces, meV/Å")
    right.plot(steps, [line["energy_per_atom_mae"] for line in lines], label="energy, meV/atom")
    right.set_title("validation, mean absolute error")
    for axes in (left, right):
        axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.legend()
    _save(figure, path)


def _against(axes: Axes, expected: Floats, predicted: Floats, label: str) -> None:
    step = max(1, len(expected) // MOST_POINTS)
    ends = [min(expected.min(), predicted.min()), max(expected.max(), predicted.max())]
    axes.plot(ends, ends, color="grey", linewidth=0.8)
    axes.plot(expected[::step], predicted[::step], ".", markersize=2)
    error = np.abs(predicted - expected).mean()
    axes.set_title(f"MAE {1e3 * error:.2f} m{label.rsplit(' ', 1)[-1]}")
    axes.set_xlabel(f"label: {label}")
    axes.set_ylabel(f"prediction: {label}")


def _save(figure: Figure, path: Path) -> None:
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        canvas = FigureCanvasAgg(figure)
        write_atomically(path, canvas.print_png)
