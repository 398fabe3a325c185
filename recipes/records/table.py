"""Errors of all records beside published ones, as Markdown.

    python -m recipes.records.table --data rmd17-aspirin rmd17-ethanol

A table for each data set: our runs, with the ratio of their errors to those published for the same
architecture; then the published figures.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from recipes.records.published import Published, counterpart, error_kind, published
from recipes.records.records import RUNS, Record, records


def table(data: str, some: Sequence[Record]) -> str:
    """The table of a data set."""
    kind = error_kind(data).upper()
    titles = [
        "run",
        "parameters",
        "epochs",
        "wall, h",
        "CPU, h",
        "GiB",
        f"energy {kind}, meV",
        f"force {kind}, meV/Å",
    ]
    rows = [[*titles, "÷ published: energy", "forces"], ["---", *["---:"] * 9]]
    rows += [_own(record) for record in some] + [_others(figure) for figure in published(data)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _own(record: Record) -> list[str]:
    kind, other = error_kind(record.data), counterpart(record.data, record.model)
    energy, forces = record.test[f"energy_{kind}"], record.test.get(f"forces_{kind}")
    ratios = [
        _number(None if a is None or b is None else a / b, 2)
        for a, b in ((energy, other and other.energy), (forces, other and other.forces))
    ]
    hours = [_number(record.hours, 2), _number(record.cpu_hours, 2), _number(record.gibibytes)]
    counts = [f"{record.result['parameters']:,.0f}", str(record.epochs)]
    return [record.name, *counts, *hours, _number(energy), _number(forces), *ratios]


def _others(figure: Published) -> list[str]:
    parameters = "–" if figure.parameters is None else f"{figure.parameters:,}"
    errors = [_number(figure.energy), _number(figure.forces)]
    return [f"*{figure.model}* ({figure.source})", parameters, "–", "–", "–", "–", *errors, "", ""]


def _number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", nargs="*", help="data sets; all that there are records of, by default"
    )
    parser.add_argument(
        "--runs", type=Path, default=RUNS, help="where records are kept (%(default)s)"
    )
    options = parser.parse_args()
    found = records(options.runs)
    for data in options.data or dict.fromkeys(record.data for record in found):
        print(f"{data}\n\n{table(data, [record for record in found if record.data == data])}\n")


if __name__ == "__main__":
    main()
