"""The tables of errors that people read."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from ase.data import chemical_symbols

from app.training.evaluation.by_molecule import by_molecule
from app.training.evaluation.errors import Errors, Values, errors, labels
from app.training.evaluation.report import groups_csv, page, report, table
from tests.training.evaluation.made import FRAMES, PREDICTED, committee, frame
from tests.training.labelled import crystals


def test_the_table_of_a_run_has_units_and_leaves_out_what_there_is_not():
    frames = crystals(1)
    truth = labels(frames)
    found = errors(Values(truth.energy + 0.004, truth.forces, truth.stress - 0.002), frames)
    text = table({"test": found})
    assert "energy per atom         1.00      1.00  meV/atom" in text
    assert "stress                  2.00      2.00  meV/Å³" in text
    assert "force MAE by element: Ne 0.0, Ar 0.0" in text
    assert "stress" not in table(
        {"test": found.model_copy(update={"stress_mae": None, "stress_rmse": None})}
    )


def test_the_tables_name_the_worst_of_many_elements():
    many = {symbol: float(i) for i, symbol in enumerate(chemical_symbols[1:40])}
    update = {"forces_mae_by_element": many, "forces_rmse_by_element": many}
    found = report(PREDICTED, FRAMES).model_copy(update=update)
    assert "the 12 largest of 39: Y 38.0, Sr 37.0" in table({"test": Errors(**found.model_dump())})
    text = page(found, 10)
    assert "forces on Y          38.00     38.00  meV/Å" in text
    assert "the 12 largest of 39 elements" in text
    assert "forces on H " not in text


def many_molecules(count):
    frames = [
        frame([10, 18], 0.0, molecule=f"kind {i:04d}{' of a long name' * 3}") for i in range(count)
    ]
    forces = np.repeat(np.arange(count), 2)[:, None] * np.array([[1e-3, 1e-3, 1e-3]])
    return Values(np.zeros(count), forces, np.full((count, 3, 3), np.nan)), frames


def test_the_page_lists_the_worst_groups_and_says_how_the_others_are():
    predicted, frames = many_molecules(3000)
    text = page(report(predicted, frames, "molecule"), 3)
    assert "by molecule, the worst 3 of 3000 (all with --csv or --json)" in text
    listed = text[text.index("by molecule") :].splitlines()
    assert len(listed) == 8
    assert listed[3].split()[:2] == ["kind", "2999"]
    assert listed[6].split()[-2:] == ["1499.50", "1499.50"]
    assert listed[7].split()[-2:] == ["2699.10", "2699.10"]
    assert max(map(len, listed)) < 100
    assert "by molecule" not in page(report(predicted, frames, "molecule"), 0)


def test_the_page_of_one_formula_lists_no_groups_and_that_of_a_few_lists_all():
    predicted, frames = many_molecules(2)
    assert "by " not in page(report(predicted, frames), 10)
    text = page(report(predicted, frames, "molecule"), 10)
    assert "by molecule, the worst first" in text
    assert "half of all" not in text


def test_all_groups_as_csv():
    rows = list(csv.DictReader(io.StringIO(groups_csv(by_molecule(PREDICTED, FRAMES, "name")))))
    assert {row["name"]: row["frames"] for row in rows} == {"a": "1", "b": "3"}
    assert float(next(row for row in rows if row["name"] == "a")["forces_mae"]) == pytest.approx(
        1.0
    )


def test_the_page_shows_uncertainties_only_where_there_are_some():
    predicted, frames = committee(50, 2.0)
    text = page(report(predicted, frames), 10)
    assert "uncertainty" in text
    assert "(61 % if normal)" in text
    without = report(replace(predicted, energy_std=None, forces_std=None), frames)
    assert without.uncertainty is None
    assert "uncertainty" not in page(without, 10)


def test_the_page_says_within_what_99_percent_are():
    text = page(report(PREDICTED, FRAMES), 10)
    assert "99 % of the energies per atom are within 2.97 meV/atom" in text
    assert "99 % of the force components are within" in text
