"""Processor time over atoms, from the table of `benchmarks.space` that stands in docs/scale.md.

    python -m benchmarks.space_plot

draws `docs/scale.png`. Who has measured anew puts the rows into the table and draws again. Lines are
linear in the atoms, from the largest structure that was measured; where they are dotted nothing was.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from recipes.records.images import save

PAGE = Path("docs/scale.md")
COLUMNS = ["model", "atoms", "workers", "wall s", "CPU s", "CPU µs an atom"]
"""That the table begins with."""
LARGEST = 100_000_000
"""Atoms up to which lines go."""
MARKERS = {0: "o", 1: "s", 2: "^"}
"""By workers; others are diamonds."""


class Measured(NamedTuple):
    """A row of the table.

    Attributes:
        model: of the store.
        atoms: of the structure.
        workers: 0 is one process.
        cpu: s.
        each: µs, processor time of an atom.
    """

    model: str
    atoms: int
    workers: int
    cpu: float
    each: float


def rows_of(page: str) -> list[Measured]:
    """The rows of the table of a page.

    Raises:
        ValueError: the page has no such table.
    """
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    heads = [n for n, cells in enumerate(lines) if cells[: len(COLUMNS)] == COLUMNS]
    if len(heads) != 1:
        raise ValueError(
            f"{len(heads)} tables begin with the columns {', '.join(COLUMNS)}; one is to"
        )
    rows = []
    for cells in lines[heads[0] + 2 :]:
        if not cells:
            break
        model, atoms, workers, _, cpu, each = cells[: len(COLUMNS)]
        rows.append(
            Measured(model, int(atoms.replace(",", "")), int(workers), float(cpu), float(each))
        )
    return rows


def draw(rows: Sequence[Measured], path: Path) -> None:
    """Draw processor time over atoms, both logarithmic."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, model in enumerate(dict.fromkeys(row.model for row in rows)):
        own, colour = [row for row in rows if row.model == model], f"C{number}"
        least, most = min(row.atoms for row in own), max(own, key=lambda row: row.atoms)
        for ends, style in (((least, most.atoms), "-"), ((most.atoms, LARGEST), ":")):
            times = [1e-6 * most.each * atoms for atoms in ends]
            axes.plot(ends, times, style, color=colour, linewidth=1)
        for workers in sorted({row.workers for row in own}):
            some = [row for row in own if row.workers == workers]
            where = "one process" if workers == 0 else f"{workers} worker{'s' * (workers > 1)}"
            axes.plot(
                [row.atoms for row in some],
                [1e-6 * row.each * row.atoms for row in some],
                MARKERS.get(workers, "D"),
                color=colour,
                fillstyle="none",
                label=f"{model}, {where}",
            )
    axes.set(xscale="log", yscale="log", xlabel="atoms", ylabel="processor time, s")
    axes.set_title("Energies and forces of crystals; dotted: extrapolated", fontsize="medium")
    axes.grid(True, alpha=0.25)
    axes.legend(fontsize="small")
    save(figure, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the table, and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--output", type=Path, default=PAGE.with_suffix(".png"))
    options = parser.parse_args(arguments)
    draw(rows_of(options.page.read_text(encoding="utf-8")), options.output)


if __name__ == "__main__":
    main()
