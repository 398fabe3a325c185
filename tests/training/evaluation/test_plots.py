"""The pictures are written, whatever is missing; how they look was looked at."""

from dataclasses import replace

import numpy as np
import pytest

from app.training.evaluation import plots
from app.training.evaluation.errors import Values, labels
from app.training.evaluation.plots import (
    composition_energies,
    error_against_std,
    learning_curve,
    parity,
)
from app.training.evaluation.uncertainty import force_errors
from tests.training.labelled import crystals, molecules

LINE = {
    "step": 1.0,
    "train_total": 2.0,
    "validation_loss": 3.0,
    "forces_mae": 4.0,
    "forces_rmse": 5.0,
    "energy_per_atom_mae": 5.0,
    "energy_per_atom_rmse": 6.0,
}


def size(path):
    """(width, height) of a PNG file, pixels."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 8_000
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


def without_forces(frame):
    return replace(frame, forces=np.full_like(frame.forces, np.nan))


@pytest.mark.parametrize("most_points", [plots.MOST_POINTS, 5], ids=["points", "density"])
def test_parity_has_a_panel_for_each_quantity_with_labels(tmp_path, monkeypatch, most_points):
    monkeypatch.setattr(plots, "MOST_POINTS", most_points)
    both, gas = [*molecules(8), *crystals(2)], molecules(8)
    sets = {"stress": both, "forces": gas, "energy": [without_forces(frame) for frame in gas]}
    widths = {}
    for name, frames in sets.items():
        predicted = labels(both if name == "stress" else gas)
        parity(
            tmp_path / f"{name}.png",
            "title",
            frames,
            replace(predicted, energy=predicted.energy + 0.01),
        )
        widths[name] = size(tmp_path / f"{name}.png")[0]
    assert widths["stress"] > widths["forces"] > widths["energy"]


def test_what_the_composition_explains_is_taken_off():
    frames = molecules(12, sizes=(2, 3, 4))
    per_atom = {10: -3.0, 18: -7.0}
    energy = np.array([sum(per_atom[z] for z in f.structure.numbers.tolist()) for f in frames])
    np.testing.assert_allclose(composition_energies(frames, energy), energy)


@pytest.mark.parametrize("most_points", [plots.MOST_POINTS, 5], ids=["points", "density"])
def test_errors_against_uncertainties(tmp_path, monkeypatch, most_points):
    monkeypatch.setattr(plots, "MOST_POINTS", most_points)
    frames = molecules(12)
    truth = labels(frames)
    random = np.random.default_rng(0)
    std = np.exp(random.normal(size=len(truth.forces)))
    std[0] = 0  # has no place on a logarithmic axis
    forces = truth.forces + std[:, None] * random.normal(size=truth.forces.shape)
    predicted = Values(truth.energy, forces, truth.stress, None, std)
    error_against_std(tmp_path / "std.png", "title", *force_errors(predicted, frames))
    assert size(tmp_path / "std.png")[1] > 400


def test_a_learning_curve_leaves_out_forces_that_there_are_not(tmp_path):
    lines = [LINE, {**LINE, "step": 2.0, "validation_loss": 2.0}]
    learning_curve(tmp_path / "whole.png", lines)
    nothing = {"forces_mae": np.nan, "forces_rmse": np.nan}
    learning_curve(tmp_path / "energy.png", [{**line, **nothing} for line in lines])
    learning_curve(tmp_path / "one.png", lines[:1])
    assert size(tmp_path / "one.png") == size(tmp_path / "whole.png")
    assert size(tmp_path / "energy.png")[0] < size(tmp_path / "whole.png")[0]
