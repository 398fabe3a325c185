"""Figures of all records.

    python -m recipes.records.figures

draws into `docs/accuracy`: for each data set the validation errors over the time
(`<data>-learning-curves.png`) and the test errors by element (`<data>-elements.png`); and of all
runs together what accuracy has cost (`cost.png`). The parity plot of each run lies with its record.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from recipes.records.images import save
from recipes.records.published import error_kind, published
from recipes.records.records import RUNS, Record, records

STYLES = ("--", ":", "-.", (0, (6, 3, 1, 3, 1, 3)))


def learning_curves(path: Path, data: str, some: Sequence[Record]) -> None:
    """Draw validation errors over the processor time, with the test errors of others as lines."""
    kind = error_kind(data)
    forces = all(
        np.isfinite([line[f"forces_{kind}"] for line in record.lines]).any() for record in some
    )
    quantity, unit = ("forces", "force error, meV/Å") if forces else ("energy", "energy error, meV")
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    for record in some:
        errors = [line[f"{quantity}_{kind}"] for line in record.lines]
        axes.plot([hours(line) for line in record.lines], errors, label=record.name)
    others = [other for other in published(data) if getattr(other, quantity) is not None]
    for number, other in enumerate(others):
        label, style = f"{other.model}, elsewhere (test)", STYLES[number % len(STYLES)]
        axes.axhline(
            getattr(other, quantity), color="0.4", linestyle=style, linewidth=0.9, label=label
        )
    axes.set(
        title=f"{data}, validation", xlabel=time_label(some), ylabel=f"{unit} ({kind.upper()})"
    )
    axes.set(xscale="log", yscale="log")
    plain_numbers(axes)
    axes.grid(True, which="both", alpha=0.25)
    axes.legend(fontsize="small")
    save(figure, path)


class PlainNumbers(LogFormatter):
    """Labels of a logarithmic axis without powers; where `LogFormatter` writes none, for want of
    room, none.
    """

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label of a place."""
        return f"{x:g}" if super().__call__(x, pos) else ""


def plain_numbers(axes: Axes) -> None:
    """Label both axes, which are logarithmic, without powers."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(PlainNumbers(minor_thresholds=(1.5, 0.5)))


def hours(line: dict[str, float]) -> float:
    """Processor time at an evaluation; wall time where only that was measured."""
    return line.get("cpu_seconds", line["seconds"]) / 3600


def time_label(some: Sequence[Record]) -> str:
    """What `hours` gives for all of these runs."""
    measured = {"cpu_seconds" in line for record in some for line in record.lines}
    return {(True,): "CPU hours", (False,): "hours"}.get(
        tuple(measured), "hours (CPU hours where measured)"
    )


def by_element(path: Path, data: str, some: Sequence[Record]) -> None:
    """Draw test errors of forces by element."""
    kind = error_kind(data)
    elements = list(
        dict.fromkeys(
            symbol for record in some for symbol in record.test[f"forces_{kind}_by_element"]
        )
    )
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(some)
    for number, record in enumerate(some):
        errors = record.test[f"forces_{kind}_by_element"]
        places = np.arange(len(elements)) + (number - (len(some) - 1) / 2) * width
        axes.bar(places, [errors.get(symbol, 0.0) for symbol in elements], width, label=record.name)
    axes.set_xticks(range(len(elements)), elements)
    axes.set(title=f"{data}, test", ylabel=f"force error, meV/Å ({kind.upper()})")
    axes.grid(True, axis="y", alpha=0.25)
    axes.legend(fontsize="small")
    save(figure, path)


def cost(path: Path, some: Sequence[Record]) -> None:
    """Draw test errors over the time that the training took; published ones stand at the right
    margins.
    """
    figure = Figure(figsize=(9.6, 5.6), layout="constrained")
    forces = any(record.test.get("forces_mae") is not None for record in some)
    quantities = {"energy": "meV"} | ({"forces": "meV/Å"} if forces else {})
    panels: list[Axes] = list(figure.subplots(1, len(quantities), squeeze=False)[0])
    for axes, (quantity, unit) in zip(panels, quantities.items(), strict=True):
        for number, data in enumerate(dict.fromkeys(record.data for record in some)):
            color, marker, kind = f"C{number % 10}", "os"[number // 10 % 2], error_kind(data)
            runs = [record for record in some if record.data == data]
            errors = [record.test.get(f"{quantity}_{kind}") for record in runs]
            label = data if kind == "mae" else f"{data} ({kind.upper()})"
            axes.plot(
                [spent(r) for r in runs],
                [e or np.nan for e in errors],
                marker,
                color=color,
                label=label,
            )
            margin = {"transform": axes.get_yaxis_transform(), "clip_on": False}
            for error in (getattr(other, quantity) for other in published(data)):
                axes.plot([1.0], [error or np.nan], "*", color=color, markersize=9, **margin)
        times = [spent(record) for record in some]
        axes.set_xlim(min(times) / 2, 2 * max(times))
        axes.plot([], [], "*", color="0.4", label="published (right margin: time not comparable)")
        axes.set(
            xlabel=time_label(some),
            ylabel=f"test error of {quantity}, {unit}",
            xscale="log",
            yscale="log",
        )
        plain_numbers(axes)
        axes.grid(True, which="both", alpha=0.25)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")
    save(figure, path)


def spent(record: Record) -> float:
    """Processor hours of a run; wall hours where only those were measured."""
    return record.cpu_hours or record.hours


def draw(some: Sequence[Record], folder: Path) -> list[Path]:
    """Draw everything; returns the files."""
    files = []
    for data in dict.fromkeys(record.data for record in some):
        runs = [record for record in some if record.data == data]
        files.append(folder / f"{data}-learning-curves.png")
        learning_curves(files[-1], data, runs)
        if with_forces := [record for record in runs if record.test.get("forces_mae") is not None]:
            files.append(folder / f"{data}-elements.png")
            by_element(files[-1], data, with_forces)
    files.append(folder / "cost.png")
    cost(files[-1], some)
    return files


def main() -> None:
    """Draw, and say what was drawn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs", type=Path, default=RUNS, help="where records are kept (%(default)s)"
    )
    parser.add_argument("--figures", type=Path, default=Path("docs/accuracy"), help="(%(default)s)")
    options = parser.parse_args()
    for path in draw(records(options.runs), options.figures):
        print(path)


if __name__ == "__main__":
    main()
