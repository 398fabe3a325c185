"""Errors for people and for programs: tables, JSON, CSV."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from app.training.data.frames import LabelledFrame
from app.training.evaluation.by_molecule import FORMULA, GroupErrors, by_molecule
from app.training.evaluation.errors import Errors, Values, errors
from app.training.evaluation.uncertainty import Uncertainty, uncertainty

MOST_ELEMENTS = 12
"""Elements in a table, or in a line of one."""
LONGEST_NAME = 28
ROWS: tuple[
    tuple[str, str, Callable[[Errors], float | None], Callable[[Errors], float | None]], ...
] = (
    ("energy", "meV", lambda e: e.energy_mae, lambda e: e.energy_rmse),
    (
        "energy per atom",
        "meV/atom",
        lambda e: e.energy_per_atom_mae,
        lambda e: e.energy_per_atom_rmse,
    ),
    ("forces", "meV/Å", lambda e: e.forces_mae, lambda e: e.forces_rmse),
    ("stress", "meV/Å³", lambda e: e.stress_mae, lambda e: e.stress_rmse),
)


class Report(Errors):
    """Errors over all frames, and of each molecule.

    Attributes:
        grouped_by: `formula`, or the key of the comment lines that names the groups.
        groups: the worst first.
        left_out: what has no errors since no frame is labelled with it, or of which frames the errors
            are.
        uncertainty: of a model that states one.
    """

    grouped_by: str
    groups: tuple[GroupErrors, ...]
    left_out: tuple[str, ...] = ()
    uncertainty: Uncertainty | None = None


def report(predicted: Values, frames: Sequence[LabelledFrame], by: str | None = None) -> Report:
    """Everything that is measured of predictions for frames, in their order.

    Args:
        predicted: what a model says.
        frames: labelled.
        by: key of the comment lines that names the groups; the chemical formula where not given.

    Raises:
        InvalidData: a frame has no such key.
    """
    return Report(
        **errors(predicted, frames).model_dump(),
        grouped_by=by or FORMULA,
        groups=tuple(by_molecule(predicted, frames, by)),
        left_out=tuple(_left_out(frames)),
        uncertainty=uncertainty(predicted, frames),
    )


def _left_out(frames: Sequence[LabelledFrame]) -> Iterator[str]:
    """What is said of labels that frames do not have."""
    energies = [bool(np.isfinite(frame.energy)) for frame in frames]
    for name, labelled in (("energies", energies), ("forces", [f.has_forces for f in frames])):
        lacking = len(frames) - sum(labelled)
        if lacking == len(frames):
            yield f"no frame has {name}: errors of {name} are left out"
        elif lacking:
            of = len(frames) - lacking
            yield f"{lacking} frames have no {name}: errors of {name} are those of the other {of}"


def table(sets: Mapping[str, Errors]) -> str:
    """Errors of some sets as a table for people; a line of element errors for each set below."""
    lines = [f"{'set':<12}{'quantity':<18}{'MAE':>10}{'RMSE':>10}  unit"]
    for name, of_set in sets.items():
        lines += [f"{name:<12}{line}" for line in _quantities(of_set)]
    for name, of_set in sets.items():
        lines.append(
            f"{name}: {of_set.frames} frames, {of_set.atoms} atoms{_by_element(of_set.forces_mae_by_element)}"
        )
    return "\n".join(lines)


def page(report: Report, worst: int) -> str:
    """A report as tables for people.

    Args:
        report: the report.
        worst: groups that are listed, at most; a single one is not.
    """
    parts = [
        [f"{report.frames} frames, {report.atoms} atoms", *report.left_out],
        [f"{'':<18}{'MAE':>10}{'RMSE':>10}  unit", *_quantities(report, _elements(report))],
        [*_p99(report)],
    ]
    if len(report.groups) > 1 and worst:
        parts.append(_groups(report, worst))
    if report.uncertainty is not None:
        parts.append(_uncertainty(report.uncertainty))
    return "\n\n".join("\n".join(part) for part in parts if part)


def groups_csv(groups: Sequence[GroupErrors]) -> str:
    """All groups as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(GroupErrors.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(group.model_dump() for group in groups)
    return text.getvalue()


def _quantities(errors: Errors, elements: Sequence[str] = ()) -> list[str]:
    lines = []
    for quantity, unit, mae, rmse in ROWS:
        m, r = mae(errors), rmse(errors)
        if m is not None and r is not None:
            lines.append(_row(quantity, m, r, unit))
            lines += elements if quantity == "forces" else ()
    return lines


def _p99(errors: Errors) -> Iterator[str]:
    """Below which errors 99 % of all lie."""
    for name, value, unit in (
        ("energies per atom", errors.energy_per_atom_p99, "meV/atom"),
        ("force components", errors.forces_p99, "meV/Å"),
    ):
        if value is not None:
            yield f"99 % of the {name} are within {value:.2f} {unit}"


def _row(quantity: str, mae: float, rmse: float, unit: str) -> str:
    return f"{quantity:<18}{mae:>10.2f}{rmse:>10.2f}  {unit}"


def _elements(errors: Errors) -> list[str]:
    maes = errors.forces_mae_by_element
    chosen = (
        sorted(maes, key=lambda symbol: -maes[symbol])[:MOST_ELEMENTS]
        if len(maes) > MOST_ELEMENTS
        else maes
    )
    lines = [
        _row(f"  forces on {s}", maes[s], errors.forces_rmse_by_element[s], "meV/Å") for s in chosen
    ]
    if len(maes) > MOST_ELEMENTS:
        lines.append(f"  (the {MOST_ELEMENTS} largest of {len(maes)} elements; all with --json)")
    return lines


def _groups(report: Report, worst: int) -> list[str]:
    groups, shown = report.groups, report.groups[:worst]
    names = [
        group.name if len(group.name) <= LONGEST_NAME else f"{group.name[: LONGEST_NAME - 1]}…"
        for group in shown
    ]
    wide = max(len(name) for name in [*names, "0" * 16])
    title = f"by {report.grouped_by}, the worst first"
    if len(shown) < len(groups):
        title = f"by {report.grouped_by}, the worst {len(shown)} of {len(groups)} (all with --csv or --json)"
    lines = [
        title,
        f"{'':<{wide}}{'':>16}{'energy, meV/atom':>20}{'forces, meV/Å':>20}",
        f"{'':<{wide}}{'frames':>8}{'atoms':>8}{'MAE':>10}{'RMSE':>10}{'MAE':>10}{'RMSE':>10}",
    ]
    for name, group in zip(names, shown, strict=True):
        energy = f"{_number(group.energy_per_atom_mae)}{_number(group.energy_per_atom_rmse)}"
        forces = f"{_number(group.forces_mae)}{_number(group.forces_rmse)}"
        lines.append(f"{name:<{wide}}{group.frames:>8}{group.atoms:>8}{energy}{forces}")
    if len(shown) < len(groups):
        for share, words in ((0.5, "half of all below"), (0.9, "90 % of all below")):
            lines.append(f"{words:<{wide + 16}}{_quantiles(groups, share)}")
    return lines


def _quantiles(groups: Sequence[GroupErrors], share: float) -> str:
    text = ""
    for name in ("energy_per_atom_mae", "energy_per_atom_rmse", "forces_mae", "forces_rmse"):
        known = [value for group in groups if (value := getattr(group, name)) is not None]
        text += _number(float(np.quantile(known, share)) if known else None)
    return text


def _number(value: float | None) -> str:
    return f"{'–':>10}" if value is None else f"{value:>10.2f}"


def _uncertainty(uncertainty: Uncertainty) -> list[str]:
    lines = [f"{'uncertainty':<18}{'Spearman':>10}{'RMSE/std':>10}{'errors < std':>14}"]
    for name, reliable, normal in (
        ("energy per atom", uncertainty.energy, "68 %"),
        ("forces", uncertainty.forces, "61 %"),
    ):
        if reliable is not None:
            numbers = f"{_number(reliable.spearman)}{_number(reliable.error_over_std)}"
            lines.append(
                f"{name:<18}{numbers}{100 * reliable.within_std:>12.0f} %  ({normal} if normal)"
            )
    return lines


def _by_element(maes: Mapping[str, float]) -> str:
    if not maes:
        return ""
    items, title = list(maes.items()), "force MAE by element"
    if len(items) > MOST_ELEMENTS:
        title += f", the {MOST_ELEMENTS} largest of {len(items)}"
        items = sorted(items, key=lambda item: -item[1])[:MOST_ELEMENTS]
    return f"; {title}: {', '.join(f'{symbol} {value:.1f}' for symbol, value in items)}"
