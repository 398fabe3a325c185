"""The head that estimates a network's errors: fitted, published, served."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.atoms.neighbors import build_graph, build_graphs
from app.atoms.prediction import split
from app.backends import load_backend
from app.backends.domain import Known, doubts_of_answer
from app.store.store import ModelStore
from app.training.data.batches import BatchSize, Collator
from app.training.data.dataset import build_dataset
from app.training.data.load import Finder
from app.training.evaluation.judge import judge
from app.training.export.publish import About, export
from app.training.loop.display import Display
from app.training.models.uncertainty import Uncertainty
from app.training.run import train_model
from app.training.runs.folder import RunFolder
from app.training.runs.trained import TrainedRun
from tests.training.labelled import molecules, tiny_config, write


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run, and its metrics."""
    folder = tmp_path_factory.mktemp("judged")
    write(folder / "train.xyz", molecules(200))
    config = tiny_config(
        data={"train": "train.xyz", "split": {"validation": 80}}, dtype="float64", epochs=6
    )
    metrics = train_model(config, RunFolder(folder / "run"), Finder(folder), Display(6))
    return TrainedRun(folder / "run"), metrics


@pytest.fixture(scope="module")
def backend(run, tmp_path_factory):
    store = ModelStore(tmp_path_factory.mktemp("store"))
    return load_backend(export(run[0], store, "judged", About(), "float32"), threads=1)


def test_a_run_ends_with_estimates_that_agree_with_errors(run):
    found = run[1]["uncertainty"]
    assert found["forces"]["error_over_std"] == pytest.approx(1.0)
    assert found["energy"]["error_over_std"] == pytest.approx(1.0)
    assert found["forces"]["spearman"] > 0.3
    assert found["false_alarms"] <= 2 / 80  # one of either kind
    assert run[0].folder.calibration.is_file()


def test_every_answer_has_them(run, backend):
    frames = [frame.structure for frame in molecules(5, seed=3)]
    graph = build_graphs(frames, backend.card.cutoff)
    whole, alone = backend(graph), backend.energies(graph)
    assert backend.card.uncertainty.forces.count > 0
    assert min(whole.energy_std.min(), whole.forces_std.min()) > 0
    np.testing.assert_allclose(alone.energy_std, whole.energy_std, rtol=1e-6)
    assert alone.forces_std is None
    assert whole.novelty.max() < 3
    for structure, one in zip(frames, split(whole, graph), strict=True):
        single = backend(build_graph(structure, backend.card.cutoff))
        assert single.energy_std[0] == pytest.approx(one.energy_std, rel=1e-4)
        np.testing.assert_allclose(single.forces_std, one.forces_std, rtol=1e-4)


def test_what_the_data_never_held_is_new_and_uncertain(backend):
    frames = [frame.structure for frame in molecules(5, sizes=(5,), seed=3)]
    pressed = [replace(s, positions=0.6 * s.positions) for s in frames]
    usual, unusual = (backend(build_graphs(s, backend.card.cutoff)) for s in (frames, pressed))
    assert unusual.novelty.max() > max(1, usual.novelty.max())
    assert np.median(unusual.forces_std) > 2 * np.median(usual.forces_std)
    known = Known(backend.card)
    assert known.usual_forces is not None
    alone = build_graph(pressed[0], backend.card.cutoff)
    told = doubts_of_answer(known, pressed[0], *split(backend(alone), alone))
    assert any("are estimated to be off by" in each.message for each in told)


def test_too_few_frames_are_not_judged(run):
    data = build_dataset(molecules(20), 4.5, "float64")
    collator = Collator(data, run[0].statistics)
    (model,) = run[0].models(torch.float64)
    assert judge(model, collator, collator, BatchSize(8), torch.device("cpu")) is None


def test_farther_away_means_newer_and_less_certain():
    torch.manual_seed(0)
    head = Uncertainty(2, 4)
    direction = torch.randn(1, 4)
    away = torch.cat([direction * scale for scale in (2.0, 4.0, 8.0, 1e3, 1e6)])
    estimates = head(away, torch.ones(5, dtype=torch.int64))
    assert (estimates.novelty.diff() > 0).all()
    assert (estimates.force_errors.diff() > 0).all()
    assert torch.isfinite(estimates.force_errors).all()
