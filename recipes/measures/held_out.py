"""Errors on held-out frames by kind of geometry, charge, size and element.

    python -m recipes.measures.held_out test.xyz --model NAME --by kind --by source

Charge, size and element are always there; `--by` adds values of the comment lines. The same numbers
as `equipot evaluate`, from one evaluation.
"""

import argparse
from pathlib import Path

from app.store.location import default_store
from app.training.data.config import PartlyLabelled
from app.training.data.load import Finder, load_sources
from app.training.evaluation.by_molecule import GroupErrors
from app.training.evaluation.predictors import open_predictor
from app.training.evaluation.report import Report, report
from recipes.measures.model import add_model_options, opened
from recipes.measures.results import publish, table

HEAD = ("energy MAE, meV/atom", "RMSE", "99 %", "force MAE, meV/Å", "RMSE", "99 %")
ALWAYS = ("charge", "size")


def main() -> None:
    """Measure and print."""
    options = _options()
    store = options.model_store or default_store()
    predict = open_predictor(options.model, store, threads=options.threads)
    frames = load_sources([PartlyLabelled(path=str(options.data.resolve()))], Finder(Path()))
    predicted = predict(frames)
    reports = [report(predicted, frames, key) for key in (*ALWAYS, *options.by)]
    with opened(options) as model:
        publish(
            options,
            model,
            [whole(reports[0]), elements(reports[0]), *map(groups, reports)],
            {each.grouped_by: each.model_dump(mode="json") for each in reports},
        )


def whole(errors: Report) -> str:
    """All frames."""
    numbers = (
        errors.energy_per_atom_mae,
        errors.energy_per_atom_rmse,
        errors.energy_per_atom_p99,
        errors.forces_mae,
        errors.forces_rmse,
        errors.forces_p99,
    )
    return table(("", "frames", "atoms", *HEAD), [("all", errors.frames, errors.atoms, *numbers)])


def elements(errors: Report) -> str:
    """Forces by element."""
    rows = [
        (symbol, mae, errors.forces_rmse_by_element[symbol], errors.forces_p99_by_element[symbol])
        for symbol, mae in errors.forces_mae_by_element.items()
    ]
    return table(("element", "force MAE, meV/Å", "RMSE", "99 %"), rows)


def groups(errors: Report) -> str:
    """A row for each group."""
    rows = [_row(group) for group in sorted(errors.groups, key=lambda group: _order(group.name))]
    return table((errors.grouped_by, "frames", "atoms", *HEAD), rows)


def _order(name: str) -> tuple[float, str]:
    """Numbers in their order, before other names."""
    first = name.split()[0]
    return (float(first), name) if first.lstrip("+-").isdigit() else (float("inf"), name)


def _row(group: GroupErrors) -> tuple[object, ...]:
    return (
        group.name,
        group.frames,
        group.atoms,
        group.energy_per_atom_mae,
        group.energy_per_atom_rmse,
        group.energy_per_atom_p99,
        group.forces_mae,
        group.forces_rmse,
        group.forces_p99,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="labelled frames")
    parser.add_argument(
        "--by", action="append", default=[], metavar="KEY", help="value of the comment lines"
    )
    add_model_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
