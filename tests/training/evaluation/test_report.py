"""Errors by molecule and beside uncertainties, and the tables that show them."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from ase.data import chemical_symbols

from app.atoms.structure import Structure
from app.errors import InvalidData
from app.training.data.frames import LabelledFrame
from app.training.evaluation.by_molecule import by_molecule
from app.training.evaluation.errors import Errors, Values, errors, labels
from app.training.evaluation.report import groups_csv, page, report, table
from app.training.evaluation.uncertainty import reliability
from tests.training.labelled import crystals, molecules


def frame(numbers: list[int], energy: float, forces: bool = True, **info: object) -> LabelledFrame:
    """Atoms in a row; no forces act on them, or none is known."""
    structure = Structure(np.array(numbers), 3.0 * np.arange(3 * len(numbers)).reshape(-1, 3))
    value = 0.0 if forces else np.nan
    return LabelledFrame(
        structure, energy, np.full((len(numbers), 3), value), None, "made.xyz", 0, dict(info)
    )


FRAMES = [
    frame([10], -1.0, name="a"),
    frame([18, 10], -9.0, name="b"),
    frame([10, 18], -9.0, forces=False, name="b"),
    frame([10], -1.0, name="b"),
]
PREDICTED = Values(
    energy=np.array([-0.998, -9.006, -8.998, -1.0]),
    forces=np.array([[0, 0, 0.003], [0, 0, 0], [0.006, 0, 0], [1, 1, 1], [1, 1, 1], [0, 0, 0]]),
    stress=np.full((4, 3, 3), np.nan),
)


def test_errors_by_formula_by_hand_the_worst_first():
    pair, atom = by_molecule(PREDICTED, FRAMES)
    assert (pair.name, pair.frames, pair.atoms) == ("ArNe", 2, 4)
    assert (atom.name, atom.frames, atom.atoms) == ("Ne", 2, 2)
    assert pair.energy_per_atom_mae == pytest.approx((3 + 1) / 2)
    assert pair.energy_per_atom_rmse == pytest.approx(np.sqrt((9 + 1) / 2))
    assert pair.forces_mae == pytest.approx(1.0)  # only the first has forces
    assert pair.forces_rmse == pytest.approx(np.sqrt(6))
    assert atom.forces_mae == pytest.approx(0.5)


def test_errors_by_a_key_of_the_comment_line():
    found = {g.name: g for g in by_molecule(PREDICTED, FRAMES, "name")}
    assert (found["a"].frames, found["b"].frames) == (1, 3)
    assert found["b"].forces_mae == pytest.approx(6 / 9)
    with pytest.raises(
        InvalidData,
        match=r"--by smiles: made\.xyz, frame 0 has no such key; its comment line has name",
    ):
        by_molecule(PREDICTED, FRAMES, "smiles")


def test_groups_without_forces_are_ordered_by_energy_and_stand_last():
    unlabelled = [replace(f, forces=np.full_like(f.forces, np.nan)) for f in FRAMES]
    assert [g.name for g in by_molecule(PREDICTED, [*unlabelled[:3], FRAMES[3]], "name")] == [
        "b",
        "a",
    ]
    groups = by_molecule(PREDICTED, unlabelled)
    assert [(g.name, g.forces_mae) for g in groups] == [("ArNe", None), ("Ne", None)]


def test_groups_add_up_to_the_whole():
    frames = molecules(12)
    truth = labels(frames)
    noise = np.random.default_rng(0)
    off = Values(
        truth.energy + noise.normal(size=12),
        truth.forces + noise.normal(size=truth.forces.shape),
        truth.stress,
    )
    groups, whole = by_molecule(off, frames, "molecule"), errors(off, frames)
    assert len(groups) == 4
    assert sum(g.atoms * g.forces_mae for g in groups) / whole.atoms == pytest.approx(
        whole.forces_mae
    )
    assert sum(g.frames * g.energy_per_atom_mae for g in groups) / 12 == pytest.approx(
        whole.energy_per_atom_mae
    )


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


def committee(count: int, factor: float) -> tuple[Values, list[LabelledFrame]]:
    """Normal errors, `factor` times as large as a committee says."""
    random = np.random.default_rng(0)
    frames = [frame([10, 18], 0.0) for _ in range(count)]
    force_std, energy_std = (
        np.exp(random.normal(-3, 1, 2 * count)),
        np.exp(random.normal(-3, 1, count)),
    )
    forces = factor * random.normal(size=(2 * count, 3)) * force_std[:, None] / np.sqrt(3)
    energy = factor * random.normal(size=count) * energy_std
    return Values(energy, forces, np.full((count, 3, 3), np.nan), energy_std, force_std), frames


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_uncertainties_of_normal_errors(factor):
    found = report(*committee(4000, factor)).uncertainty
    assert found.energy.error_over_std == pytest.approx(factor, rel=0.1)
    assert found.forces.error_over_std == pytest.approx(factor, rel=0.1)
    assert 0.3 < found.energy.spearman < found.forces.spearman < 1
    if factor == 1:
        assert found.energy.within_std == pytest.approx(0.68, abs=0.02)
        assert found.forces.within_std == pytest.approx(0.61, abs=0.02)


def test_the_page_shows_uncertainties_only_where_there_are_some():
    predicted, frames = committee(50, 2.0)
    text = page(report(predicted, frames), 10)
    assert "uncertainty" in text
    assert "(61 % if normal)" in text
    without = report(replace(predicted, energy_std=None, forces_std=None), frames)
    assert without.uncertainty is None
    assert "uncertainty" not in page(without, 10)


def test_atoms_without_a_label_do_not_count_for_the_uncertainty():
    predicted = replace(PREDICTED, forces_std=np.arange(1.0, 7.0))
    assert report(predicted, FRAMES).uncertainty.forces.count == 4


def test_a_constant_uncertainty_has_no_rank_correlation():
    found = reliability(np.array([0.1, -0.2, 0.3]), np.zeros(3))
    assert (found.spearman, found.error_over_std, found.within_std) == (None, None, 0.0)
