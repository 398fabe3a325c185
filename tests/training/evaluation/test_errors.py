"""Errors against numbers worked out by hand, and predictions in the frames' order."""

import numpy as np
import pytest
import torch

from app.atoms.structure import Structure
from app.backends.pair import PairBackend
from app.training.data.batches import BatchSize, Collator
from app.training.data.dataset import build_dataset
from app.training.data.frames import LabelledFrame
from app.training.evaluation.errors import Values, errors, predict_frames
from app.training.evaluation.forward import predict
from app.training.evaluation.predictors import backend_predictor
from app.training.models import Statistics, build_model
from tests.training.labelled import CARD, REFERENCES, crystals, molecules, tiny_config


def two_frames():
    one = Structure(np.array([10]), np.zeros((1, 3)))
    three = Structure(np.array([10, 18, 18]), 3 * np.eye(3), 8 * np.eye(3), np.ones(3, dtype=bool))
    return [
        LabelledFrame(one, -1.0, np.zeros((1, 3)), None, "made.xyz", 0),
        LabelledFrame(three, -9.0, np.zeros((3, 3)), np.zeros((3, 3)), "made.xyz", 1),
    ]


PREDICTED = Values(
    energy=np.array([-0.998, -9.006]),
    forces=np.array([[0.0, 0.0, 0.003], [0, 0, 0], [0.006, 0, 0], [0, -0.006, 0.0]]),
    stress=np.stack([np.full((3, 3), np.nan), np.full((3, 3), -0.002)]),
)


def test_forces_without_a_label_do_not_count():
    one, three = two_frames()
    unlabelled = LabelledFrame(three.structure, -9.0, np.full((3, 3), np.nan), None, "made.xyz", 1)
    found = errors(PREDICTED, [one, unlabelled])
    assert found.forces_mae == pytest.approx(1.0)
    assert found.forces_mae_by_element == {"Ne": pytest.approx(1.0)}


def test_a_prediction_that_is_not_finite_is_no_missing_label():
    forces = np.where(PREDICTED.forces > 0, np.nan, PREDICTED.forces)
    assert np.isnan(
        errors(Values(PREDICTED.energy, forces, PREDICTED.stress), two_frames()).forces_mae
    )


def test_errors_by_hand():
    found = errors(PREDICTED, two_frames())
    assert (found.frames, found.atoms) == (2, 4)
    assert found.energy_mae == pytest.approx(4.0)
    assert found.energy_rmse == pytest.approx(np.sqrt((4 + 36) / 2))
    assert found.energy_per_atom_mae == pytest.approx(2.0)
    assert found.energy_per_atom_rmse == pytest.approx(2.0)
    assert found.forces_mae == pytest.approx(15 / 12)
    assert found.forces_rmse == pytest.approx(np.sqrt(81 / 12))
    assert found.stress_mae == found.stress_rmse == pytest.approx(2.0)
    assert found.forces_mae_by_element == pytest.approx({"Ne": 0.5, "Ar": 2.0})
    assert found.forces_rmse_by_element == pytest.approx(
        {"Ne": np.sqrt(9 / 6), "Ar": np.sqrt(72 / 6)}
    )
    assert found.forces_p99_by_element == pytest.approx({"Ne": 2.85, "Ar": 6.0})


def test_predictions_come_in_the_frames_order():
    frames = [*molecules(7, sizes=(5, 2, 3)), *crystals(2), *molecules(2, sizes=(4,), seed=9)]
    statistics = Statistics(
        elements=("Ne", "Ar"), atomic_energies=REFERENCES, force_scale=1.0, average_neighbors=4.0
    )
    model = build_model(tiny_config().model, statistics, torch.float64)
    collator = Collator(build_dataset(frames, 4.5, "float64"), statistics)
    values = predict_frames(model, collator, BatchSize(4), torch.device("cpu"))
    alone = [
        predict(model, collator(np.array([i])), create_graph=False) for i in range(len(frames))
    ]
    np.testing.assert_allclose(
        values.energy,
        [float(a.energy) + r for a, r in zip(alone, collator.references, strict=True)],
        atol=1e-10,
    )
    np.testing.assert_allclose(values.forces, np.concatenate([a.forces for a in alone]), atol=1e-10)
    assert (
        np.isfinite(values.stress).all(axis=(1, 2)).tolist()
        == [False] * 7 + [True] * 2 + [False] * 2
    )
    np.testing.assert_allclose(values.stress[7], alone[7].stress[0], atol=1e-12)


def test_a_backend_makes_no_errors_on_its_own_labels():
    frames = [*molecules(5), *crystals(3)]
    found = errors(backend_predictor(PairBackend(CARD), batch_size=3)(frames), frames)
    assert max(found.energy_rmse, found.forces_rmse, found.stress_rmse) < 1e-6
