"""The gradient of a batch in one piece and in several, and what happens when memory runs out."""

import io

import numpy as np
import pytest
import torch

from app.errors import TrainingError
from app.training.data.batches import Collator
from app.training.data.dataset import build_dataset
from app.training.data.load import Finder
from app.training.data.references import fit_statistics
from app.training.evaluation.forward import predict
from app.training.loop import gradients
from app.training.loop.display import Display
from app.training.loop.distributed import ProcessGroup
from app.training.loop.gradients import Gradients, divide
from app.training.loop.loss import compute_losses
from app.training.models import build_model
from app.training.run import train_model
from app.training.runs import checkpoint
from app.training.runs.folder import RunFolder
from tests.training.labelled import crystals, molecules, tiny_config, write

FRAMES = [*molecules(9), *crystals(1)]
ALL = np.arange(len(FRAMES))


def make(**keys):
    config = tiny_config(dtype="float64", loss={"stress": 2.0, "kind": "huber"}, **keys)
    dataset = build_dataset(FRAMES, 4.5, "float64")
    statistics = fit_statistics(dataset, ("Ne", "Ar"), "least_squares")
    model = build_model(config.model, statistics, torch.float64)
    group = ProcessGroup()
    return Gradients(model, Collator(dataset, statistics), config, group, statistics), config


def run_out_above(monkeypatch, most_edges, most_frames=99):
    """Stand in for a device without room for more edges at once; no CPU raises this error."""

    def limited(model, batch, **options):
        if batch.inputs.mask.sum() > most_edges or len(batch.volume) > most_frames:
            raise torch.OutOfMemoryError
        return predict(model, batch, **options)

    monkeypatch.setattr(gradients, "predict", limited)


def test_pieces_add_up_to_the_batch():
    whole, config = make()
    losses = whole(ALL, config.loss, 0, pytest.fail)
    expected = [p.grad.clone() for p in whole.parameters]
    alone = compute_losses(
        predict(whole.model, whole.collator(ALL), True), whole.collator.all_targets(), config.loss
    )
    assert losses == pytest.approx([float(part.detach()) for part in alone], rel=1e-12)
    for edges in (1, 30):
        pieces, config = make(edges_at_once=edges)
        assert pieces(ALL, config.loss, 0, pytest.fail) == pytest.approx(losses, rel=1e-12)
        for p, gradient in zip(pieces.parameters, expected, strict=True):
            torch.testing.assert_close(p.grad, gradient, rtol=1e-10, atol=1e-12)


def test_memory_that_runs_out_once_is_said_and_costs_nothing(monkeypatch):
    whole, config = make()
    losses = whole(ALL, config.loss, 0, pytest.fail)
    expected = [p.grad.clone() for p in whole.parameters]
    total = int(whole.collator.dataset.n_edges.sum())
    run_out_above(monkeypatch, total - 1)
    said = []
    small, config = make()
    assert small(ALL, config.loss, 0, said.append) == pytest.approx(losses, rel=1e-12)
    for p, gradient in zip(small.parameters, expected, strict=True):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-10, atol=1e-12)
    assert len(said) == 1
    assert (
        f"out of memory; from now on batches are computed in pieces of at most {total // 2} edges"
        in said[0]
    )


def test_memory_that_runs_out_twice_ends_with_the_keys_to_change(monkeypatch):
    run_out_above(monkeypatch, 10**9, most_frames=1)
    small, config = make()
    with pytest.raises(
        TrainingError, match=r"again, on \d+ frames .* set edges_at_once lower .*--resume"
    ):
        small(ALL, config.loss, 0, lambda _: None)


def test_a_frame_that_is_too_large_alone_is_named(monkeypatch):
    run_out_above(monkeypatch, 0)
    small, config = make()
    with pytest.raises(
        TrainingError, match=r"single frame, made\.xyz, frame 3, of \d+ atoms and \d+ edges; lower"
    ):
        small(np.array([3]), config.loss, 0, lambda _: None)


def test_a_resumed_run_keeps_to_the_pieces_that_there_was_room_for(tmp_path, monkeypatch):
    write(tmp_path / "train.xyz", molecules(40))
    shown = io.StringIO()

    def go_on(name, resume=False, **keys):
        config = tiny_config(batch_size=16, epochs=3, schedule={"kind": "constant"}, **keys)
        return train_model(
            config, RunFolder(tmp_path / name), Finder(tmp_path), Display(3, shown), resume
        )

    run_out_above(monkeypatch, 140)
    go_on("whole")
    assert shown.getvalue().count("out of memory; from now on") == 1

    class Stop(Display):
        def stepped(self, progress, losses, steps_per_epoch):
            self.interrupted = progress.step == 3

    with pytest.raises(TrainingError, match="interrupted after step 3"):
        train_model(
            tiny_config(batch_size=16, epochs=3, schedule={"kind": "constant"}),
            RunFolder(tmp_path / "part"),
            Finder(tmp_path),
            Stop(3, shown),
        )
    go_on("part", resume=True)
    assert shown.getvalue().count("out of memory; from now on") == 2
    whole, part = (
        checkpoint.load(tmp_path / name / "checkpoint.pt", "allegro") for name in ("whole", "part")
    )
    assert (
        whole["memory"]
        == part["memory"]
        == {"edges_at_once": whole["memory"]["edges_at_once"], "lowered": True}
    )
    assert all(torch.equal(whole["model"][key], part["model"][key]) for key in whole["model"])


def test_costs_are_dealt_out_evenly():
    costs = np.array([5, 1, 9, 3, 3, 7])
    parts = divide(costs, 2)
    assert sorted(np.concatenate(parts)) == list(range(6))
    assert [costs[part].sum() for part in parts] == [15, 13]
    assert [len(part) for part in divide(costs[:1], 3)] == [1, 0, 0]
