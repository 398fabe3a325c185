"""What is said of the dynamics of liquid water: a table and two pictures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recipes.water.distances import Array, longest_bond, radial_distribution
from recipes.water.dynamics import Trajectory

OXYGEN = 8
COLOURS = {"reference": "0.3", "NVT": "tab:blue", "NVE": "tab:red"}


class Liquid(NamedTuple):
    """The structure of some frames.

    Attributes:
        count: of the frames.
        distances: (B,), Å.
        distribution: (B,), g(r) of the oxygens.
        longest: Å, of any hydrogen in any frame to its nearest oxygen.
    """

    count: int
    distances: Array
    distribution: Array
    longest: float


@dataclass(frozen=True)
class Run:
    """A trajectory and how it was made.

    Attributes:
        atoms: whose cell and elements are those of each frame.
        trajectory: all its frames.
        every: fs from frame to frame.
        target: K.
        skipped: first frames that are not averaged.
        thermostat: whether there was one; without, the centre of mass rests.
    """

    atoms: Atoms
    trajectory: Trajectory
    every: float
    target: float
    skipped: int
    thermostat: bool

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the motion."""
        return 3 * len(self.atoms) - (0 if self.thermostat else 3)

    @property
    def times(self) -> Array:
        """(F,), ps, of all frames."""
        return 1e-3 * self.every * (1.0 + np.arange(len(self.trajectory.potential)))

    @property
    def temperatures(self) -> Array:
        """(F,), K, of all frames: 2 E_kin / (f k)."""
        return np.asarray(2.0 * self.trajectory.kinetic / (self.freedom * units.kB))

    @property
    def spread(self) -> float:
        """K: the standard deviation of the temperature that theory expects.

        T √(2/f) at constant temperature; at constant energy T √(1/f), if the potential energy has
        as large a heat capacity as the kinetic one, as in a harmonic solid (Lebowitz, Percus and
        Verlet, Phys. Rev. 153, 250 (1967)).
        """
        return float(
            self.temperatures[self.skipped :].mean()
            * math.sqrt((1 + self.thermostat) / self.freedom)
        )

    @property
    def totals(self) -> Array:
        """(F,), meV/atom: the total energy of all frames, less that of the first."""
        total = (self.trajectory.potential + self.trajectory.kinetic) * 1e3 / len(self.atoms)
        return np.asarray(total - total[0])

    def drift(self) -> tuple[float, float]:
        """Slope of a line through the total energies, meV/atom/ps, and their standard deviation
        from it, meV/atom.
        """
        slope, start = np.polyfit(self.times, self.totals, 1)
        return float(slope), float((self.totals - slope * self.times - start).std())

    def frames(self) -> list[Atoms]:
        """The frames that are averaged."""
        cell, numbers = self.atoms.cell, self.atoms.numbers
        chosen = self.trajectory.positions[self.skipped :]
        return [Atoms(numbers, positions, cell=cell, pbc=True) for positions in chosen]


def liquid_of(frames: Sequence[Atoms]) -> Liquid:
    """The structure of frames of one cell."""
    return Liquid(len(frames), *radial_distribution(frames, OXYGEN), longest_bond(frames))


def table(runs: Mapping[str, Run], liquids: Mapping[str, Liquid], every: int) -> str:
    """A Markdown table with a column for each run, and one for the reference.

    Args:
        runs: by name.
        liquids: of the runs, and of the reference.
        every: steps from frame to frame.
    """
    rows = {
        name: _run_rows(run, every) | _liquid_rows(liquids[name], liquids["reference"])
        for name, run in runs.items()
    }
    rows["reference"] = _liquid_rows(liquids["reference"], liquids["reference"])
    labels = list(dict.fromkeys(label for column in rows.values() for label in column))
    lines = [f"| | {' | '.join(rows)} |", f"|---|{'---:|' * len(rows)}"]
    lines += [
        f"| {label} | {' | '.join(column.get(label, '') for column in rows.values())} |"
        for label in labels
    ]
    return "\n".join(lines)


def _run_rows(run: Run, every: int) -> dict[str, str]:
    temperatures = run.temperatures[run.skipped :]
    rows = {
        "length, ps": f"{run.times[-1]:g}",
        "temperature, K": f"{temperatures.mean():.1f}",
        "its standard deviation, K": f"{temperatures.std():.1f}",
        "the same, from theory (without a thermostat: of a harmonic solid)": f"{run.spread:.1f}",
    }
    if not run.thermostat:
        slope, rest = run.drift()
        rows["drift of the total energy, µeV/atom/ps"] = f"{1e3 * slope:+.2f}"
        rows["standard deviation about the drift, µeV/atom"] = f"{1e3 * rest:.2f}"
    milliseconds = 1e3 * run.trajectory.seconds.sum() / (every * len(run.times))
    return rows | {"wall time of a step, ms": f"{milliseconds:.1f}"}


def _liquid_rows(liquid: Liquid, reference: Liquid) -> dict[str, str]:
    peak = int(liquid.distribution.argmax())
    rows = {
        "frames averaged": str(liquid.count),
        "first O–O peak": f"{liquid.distribution[peak]:.2f} at {liquid.distances[peak]:.2f} Å",
        "longest O–H bond in any frame, Å": f"{liquid.longest:.2f}",
    }
    if liquid is not reference:
        difference = np.abs(liquid.distribution - reference.distribution).mean()
        rows["mean deviation of g(r) from the reference"] = f"{difference:.3f}"
    return rows


def draw_distributions(path: Path, liquids: Mapping[str, Liquid]) -> None:
    """Draw g(r) of the oxygens."""
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, liquid in liquids.items():
        label = f"{name}, {liquid.count} frames"
        axes.plot(
            liquid.distances, liquid.distribution, color=COLOURS[name], label=label, linewidth=1.3
        )
    axes.axhline(1.0, color="0.8", linewidth=0.8, zorder=0)
    axes.set(
        xlabel="O–O distance, Å",
        ylabel="g(r)",
        xlim=(min(2.0, axes.get_xlim()[1] / 2), None),
        ylim=(0, None),
    )
    axes.legend(frameon=False)
    _save(figure, path)


def draw_energies(path: Path, runs: Mapping[str, Run]) -> None:
    """Draw total energy and temperature over time, one run after the other."""
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True)
    start = 0.0
    for name, run in runs.items():
        times = start + run.times
        if not run.thermostat:
            upper.plot(times, run.totals, color=COLOURS[name], linewidth=0.8)
        lower.plot(times, run.temperatures, color=COLOURS[name], linewidth=0.6, label=name)
        lower.axhline(run.target, color="0.8", linewidth=0.8, zorder=0)
        start = times[-1]
    upper.set(ylabel="total energy without\nthermostat, meV/atom")
    lower.set(xlabel="time, ps", ylabel="temperature, K")
    lower.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure).print_figure(path, dpi=110)
