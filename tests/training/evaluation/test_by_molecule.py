"""Errors of each molecule, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from app.errors import InvalidData
from app.training.evaluation.by_molecule import by_molecule
from app.training.evaluation.errors import Values, errors, labels
from tests.training.evaluation.made import FRAMES, PREDICTED, frame
from tests.training.labelled import molecules


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


def test_errors_by_charge_and_size_need_nothing_in_the_comment_lines():
    ion = replace(FRAMES[1], structure=replace(FRAMES[1].structure, charge=-1))
    frames = [FRAMES[0], ion, *FRAMES[2:]]
    found = {g.name: g.frames for g in by_molecule(PREDICTED, frames, "charge")}
    assert found == {"0": 3, "-1": 1}
    numbers = [1, 9, 10, 100, 130]
    large = [frame([10] * n, 0.0) for n in numbers]
    zero = Values(np.zeros(5), np.zeros((sum(numbers), 3)), np.full((5, 3, 3), np.nan))
    sizes = {g.name: g.frames for g in by_molecule(zero, large, "size")}
    assert sizes == {"1 to 9 atoms": 2, "10 to 19 atoms": 1, "100 atoms or more": 2}
    stated = [replace(f, info={"size": "small"}) for f in large]
    assert [g.name for g in by_molecule(zero, stated, "size")] == ["small"]


def test_99th_percentiles_of_groups_and_of_the_whole():
    errors_of = np.linspace(0, 1, 101)
    frames = [frame([10], 0.0, name="a") for _ in errors_of]
    predicted = Values(
        errors_of / 1e3, np.repeat(errors_of / 1e3, 3).reshape(-1, 3), np.full((101, 3, 3), np.nan)
    )
    (group,), whole = by_molecule(predicted, frames, "name"), errors(predicted, frames)
    assert group.energy_per_atom_p99 == pytest.approx(0.99)
    assert group.forces_p99 == pytest.approx(whole.forces_p99)
    assert whole.energy_per_atom_p99 == pytest.approx(0.99)
