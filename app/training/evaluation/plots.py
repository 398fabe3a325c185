"""Pictures of a run and of a model: predicted against labelled values, errors over time and against
uncertainties.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
from ase.data import chemical_symbols
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from app.atoms.structure import Floats, Integers
from app.training.data.frames import LabelledFrame
from app.training.evaluation.errors import Values, labels
from app.training.evaluation.uncertainty import reliability
from app.training.runs.checkpoint import write_atomically

MOST_POINTS = 20_000
"""Points drawn one by one; more are drawn as a density."""
MOST_ELEMENTS = 8
"""Elements that have a colour of their own."""
BLUE, RED, GREY = "tab:blue", "tab:red", "0.5"
BINS = 12


def parity(path: Path, title: str, frames: Sequence[LabelledFrame], predicted: Values) -> None:
    """Draw predictions against labels: energies per atom, force components by element, and stress
    where there is one.

    What the composition alone explains (a least-squares fit to the labels) is taken off both
    energies: it is large, and would hide the errors.

    Args:
        path: a PNG file.
        title: drawn above.
        frames: the labelled frames.
        predicted: what the model says about them.
    """
    expected = labels(frames)
    n_atoms = np.array([len(f.structure) for f in frames])
    valued = np.isfinite(expected.energy)
    known = np.isfinite(expected.forces).all(axis=1)
    stressed = np.isfinite(expected.stress).all(axis=(1, 2))
    count = int(valued.any()) + int(known.any()) + int(stressed.any())
    figure = Figure(figsize=(4.6 * count, 4.9), layout="constrained")
    panels = iter(figure.subplots(1, count, squeeze=False)[0])
    if valued.any():
        some = [frame for frame, has in zip(frames, valued, strict=True) if has]
        baseline = composition_energies(some, expected.energy[valued])
        x, y = (
            (values.energy[valued] - baseline) / n_atoms[valued] for values in (expected, predicted)
        )
        _against(next(panels), x, y, "energy per atom − composition, eV", "meV/atom")
    if known.any():
        numbers = np.concatenate([f.structure.numbers for f in frames])[known].repeat(3)
        x, y = (values.forces[known].ravel() for values in (expected, predicted))
        _against(next(panels), x, y, "force component, eV/Å", "meV/Å", numbers)
    if stressed.any():
        x, y = (values.stress[stressed].ravel() for values in (expected, predicted))
        _against(next(panels), x, y, "stress component, eV/Å³", "meV/Å³")
    figure.suptitle(title)
    _save(figure, path)


def composition_energies(frames: Sequence[LabelledFrame], energy: Floats) -> Floats:
    """(F,) eV: what the numbers of atoms of each element explain of energies, by least squares."""
    numbers = [f.structure.numbers for f in frames]
    elements = np.unique(np.concatenate(numbers))
    counts = np.array(
        [[(of_frame == z).sum() for z in elements] for of_frame in numbers], dtype=float
    )
    explained: Floats = counts @ np.linalg.lstsq(counts, energy, rcond=None)[0]
    return explained


def learning_curve(path: Path, lines: Sequence[Mapping[str, float]]) -> None:
    """Draw losses of training and validation, and validation errors, over steps; the best step is
    marked.

    Args:
        path: a PNG file.
        lines: those of `metrics.csv`.
    """
    steps = np.array([line["step"] for line in lines])
    panels = (
        (
            "loss",
            (
                ("train_total", "training, mean since the last evaluation"),
                ("validation_loss", "validation"),
            ),
        ),
        ("validation: force error, meV/Å", (("forces_mae", "MAE"), ("forces_rmse", "RMSE"))),
        (
            "validation: energy error, meV/atom",
            (("energy_per_atom_mae", "MAE"), ("energy_per_atom_rmse", "RMSE")),
        ),
    )
    drawn = [
        panel
        for panel in panels
        if np.isfinite([line[key] for line in lines for key, _ in panel[1]]).any()
    ]
    figure = Figure(figsize=(4.6 * len(drawn), 4.2), layout="constrained")
    best = steps[np.argmin([line["validation_loss"] for line in lines])]
    for axes, (title, curves) in zip(
        figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
    ):
        for key, label in curves:
            axes.plot(
                steps, [line[key] for line in lines], "." if len(lines) == 1 else "-", label=label
            )
        axes.axvline(
            best, color=GREY, linewidth=0.8, linestyle=":", label=f"best weights, step {best:.0f}"
        )
        axes.set(title=title, xlabel="step", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(True, which="both", alpha=0.25)
        axes.legend(fontsize="small")
    _save(figure, path)


def error_against_std(path: Path, title: str, error: Floats, std: Floats) -> None:
    """Draw the length of each atom's force error against its standard deviation.

    Args:
        path: a PNG file.
        title: drawn above, with the rank correlation.
        error: (n,), eV/Å.
        std: (n,), eV/Å.
    """
    agreement = reliability(error, std)
    drawn = (error > 0) & (std > 0)
    error, std = error[drawn], std[drawn]
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="standard deviation of the force, eV/Å",
        ylabel="force error, eV/Å",
    )
    _cloud(axes, std, error)
    low, high = (f(np.concatenate([error, std])) for f in (np.min, np.max))
    axes.plot(
        [low, high],
        [low, high],
        color="black",
        linewidth=0.8,
        label="ideal: RMS error = standard deviation",
    )
    centres, quantiles, rms = _binned(std, error)
    for values, style, label in zip(
        quantiles, ("--", "-", "--"), (None, "median", "10 and 90 % of the errors"), strict=True
    ):
        axes.plot(centres, values, style, color=RED, label=label)
    axes.plot(centres, rms, "o", color=RED, markeredgecolor="white", label="RMS")
    axes.legend(fontsize="small", loc="lower right")
    axes.set_aspect("equal")
    correlation = "not defined" if agreement.spearman is None else f"{agreement.spearman:.2f}"
    axes.set_title(
        f"{title}\nSpearman correlation {correlation}, {agreement.count} atoms", fontsize="medium"
    )
    _save(figure, path)


def _binned(std: Floats, error: Floats) -> tuple[Floats, Floats, Floats]:
    """Bins with equally many atoms: median σ (B,); 10, 50 and 90 % quantiles (3, B) and RMS (B,) of
    the errors.
    """
    order = np.argsort(std, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    centres = np.array([np.median(std[part]) for part in bins])
    quantiles = np.array([np.quantile(error[part], (0.1, 0.5, 0.9)) for part in bins]).T
    return centres, quantiles, np.array([np.sqrt((error[part] ** 2).mean()) for part in bins])


def _against(
    axes: Axes,
    expected: Floats,
    predicted: Floats,
    label: str,
    unit: str,
    numbers: Integers | None = None,
) -> None:
    difference = 1e3 * (predicted - expected)
    low, high = min(expected.min(), predicted.min()), max(expected.max(), predicted.max())
    margin = 0.03 * (high - low) or 1e-3
    axes.plot(
        [low - margin, high + margin],
        [low - margin, high + margin],
        color=GREY,
        linewidth=0.8,
        zorder=0,
    )
    if numbers is None or len(expected) > MOST_POINTS:
        _cloud(axes, expected, predicted)
    else:
        _by_element(axes, expected, predicted, numbers)
    axes.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), aspect="equal")
    axes.set(xlabel=f"label: {label}", ylabel="prediction")
    axes.grid(True, alpha=0.25)
    mae, rmse = np.abs(difference).mean(), np.sqrt((difference**2).mean())
    axes.set_title(f"MAE {mae:.3g}, RMSE {rmse:.3g} {unit}", fontsize="medium")


def _cloud(axes: Axes, x: Floats, y: Floats) -> None:
    """Points, or how many there are in each place where there are too many."""
    if len(x) <= MOST_POINTS:
        axes.plot(
            x,
            y,
            ".",
            color=BLUE,
            markersize=5 if len(x) < 1000 else 2,
            alpha=0.6,
            markeredgewidth=0,
        )
        return
    scale: Literal["linear", "log"] = "log" if axes.get_xscale() == "log" else "linear"
    density = axes.hexbin(
        x, y, gridsize=120, bins="log", mincnt=1, linewidths=0.1, xscale=scale, yscale=scale
    )
    axes.figure.colorbar(density, ax=axes, label="points", fraction=0.046, pad=0.02)


def _by_element(axes: Axes, expected: Floats, predicted: Floats, numbers: Integers) -> None:
    """Points in a colour for each element; the rarer lie above the more frequent ones."""
    elements, counts = np.unique(numbers, return_counts=True)
    order = elements[np.argsort(-counts, kind="stable")]
    named = order[:MOST_ELEMENTS]
    groups = [(chemical_symbols[z], numbers == z, f"C{i}") for i, z in enumerate(named)]
    if len(order) > MOST_ELEMENTS:
        groups.append((f"{len(order) - MOST_ELEMENTS} others", ~np.isin(numbers, named), "0.75"))
    size = 4 if len(expected) < 3000 else 2
    for name, chosen, colour in groups:
        x, y = expected[chosen], predicted[chosen]
        axes.plot(
            x, y, ".", color=colour, markersize=size, alpha=0.7, markeredgewidth=0, label=name
        )
    axes.legend(fontsize="small", markerscale=3, loc="upper left")


def _save(figure: Figure, path: Path) -> None:
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        canvas = FigureCanvasAgg(figure)
        write_atomically(path, canvas.print_png)
