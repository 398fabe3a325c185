"""Steps in the native kernel beside automatic differentiation; skipped where it is not installed."""

import io
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.backends.kernel import KernelArtifact
from app.errors import InvalidConfig, TrainingError
from app.training.data.batches import Collator
from app.training.data.dataset import build_dataset
from app.training.data.load import Finder
from app.training.data.references import fit_statistics
from app.training.loop import kernel
from app.training.loop.display import Display
from app.training.loop.distributed import ProcessGroup
from app.training.loop.gradients import Gradients
from app.training.models import build_model
from app.training.run import train_model
from app.training.runs.folder import RunFolder
from tests.training.labelled import TINY, crystals, molecules, tiny_config, write

pytest.importorskip("equipot_kernel", reason="the kernel is not installed: pip install ./kernel")

FRAMES = [*molecules(9), *crystals(2)]
ALL = np.arange(len(FRAMES))
WHOLE = TINY | {
    "l_max": 2,
    "num_layers": 2,
    "takes_charge": True,
    "repulsion": "zbl",
    "binding": True,
    "readout_mlp": [8],
}


def gradients_of(step, threads=1, freeze=(), unlabelled=False, **keys):
    """Losses and gradients, by parameter, of a batch of all frames, and what was said."""
    config = tiny_config(step=step, **keys)
    frames = [
        replace(f, forces=np.full_like(f.forces, np.nan)) if unlabelled else f for f in FRAMES
    ]
    dataset = build_dataset(frames, 4.5, "float32")
    statistics = fit_statistics(dataset, ("Ne", "Ar"), "least_squares")
    statistics = statistics.model_copy(update={"binding_energies": {"Ne": -1.0, "Ar": -2.0}})
    model = build_model(config.model, statistics)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.endswith(tuple(freeze)))
    torch.set_num_threads(threads)
    gradients = Gradients(model, Collator(dataset, statistics), config, ProcessGroup(), statistics)
    torch.set_num_threads(1)
    said = []
    losses = gradients(ALL, config.loss, 0, said.append)
    return losses, {name: p.grad for name, p in model.named_parameters()}, said


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"model": WHOLE, "loss": {"stress": 3.0, "kind": "huber", "energy_per": "structure"}},
        {"model": WHOLE, "loss": {"kind": "mae", "forces_per": "vector"}, "threads": 2},
        {"loss": {"forces": 0.0}, "edges_at_once": 30, "threads": 3},
        {"freeze": ("scale", "radial.weight"), "loss": {"energy": 0.0}},
    ],
    ids=["default", "all terms", "two threads", "pieces", "frozen"],
)
def test_gradients_are_those_of_automatic_differentiation(keys):
    expected_losses, expected, _ = gradients_of("eager", **keys)
    losses, found, said = gradients_of("kernel", **keys)
    assert losses == pytest.approx(expected_losses, rel=1e-4)
    assert re.fullmatch(
        r"the kernel's gradient of the first batch is off by .* % of its length", *said
    )
    for name, gradient in expected.items():
        assert (found[name] is None) == (gradient is None), name
        if gradient is not None:
            largest = max(float(gradient.abs().max()), 1e-4)
            torch.testing.assert_close(
                found[name],
                gradient,
                rtol=0,
                atol=5e-3 * largest,
                msg=lambda m, n=name: f"{n}: {m}",
            )


def test_a_gradient_that_is_off_ends_the_run_before_its_first_step(monkeypatch):
    monkeypatch.setattr(kernel, "LONGEST_MOVE", 3.0)
    with pytest.raises(TrainingError, match=r"off by .* 10 % are allowed; set step to 'eager'"):
        gradients_of("kernel")


def test_a_batch_without_a_gradient_is_not_what_it_is_held_to():
    losses, found, said = gradients_of("kernel", unlabelled=True, loss={"energy": 0.0})
    assert losses[0] == 0
    assert not said
    assert all(p is None or not p.any() for p in found.values())


def test_a_kernel_that_fails_ends_the_run_with_a_remedy(monkeypatch):
    def fail(*_):
        raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr(KernelArtifact, "run", fail)
    with pytest.raises(TrainingError, match=r"failed: std::bad_alloc; set step to 'eager'"):
        gradients_of("kernel")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"dtype": "float64"}, "it is for dtype 'float32', and that is 'float64'"),
        (
            {"precision": "bfloat16"},
            "it is for precision 'full', and that is 'bfloat16'; use step 'eager'",
        ),
        ({"device": "cuda"}, "it is for device 'cpu', and that is 'cuda'"),
        (
            {"model": {"architecture": "nequip", "cutoff": 4.5}},
            "it is for model.architecture 'allegro', and that is 'nequip'",
        ),
    ],
)
def test_what_the_kernel_cannot_do_is_refused(keys, said):
    with pytest.raises(InvalidConfig, match=re.escape(said)):
        tiny_config(step="kernel", **keys)


def test_a_kernel_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "equipot_kernel", None)
    with pytest.raises(InvalidConfig, match=r"step = 'kernel': .*; or set step to 'eager'"):
        gradients_of("kernel")


def test_a_run_learns_what_an_eager_one_does_and_is_resumed(tmp_path):
    write(tmp_path / "train.xyz", molecules(32))

    def train(name, resume=False, **keys):
        config = tiny_config(schedule={"kind": "constant"}, **keys)
        folder = RunFolder(tmp_path / name)
        report = io.StringIO()
        train_model(config, folder, Finder(tmp_path), Display(9, report), resume)
        return folder.lines(), report.getvalue()

    eager, _ = train("eager")
    found, said = train("kernel", step="kernel")
    assert "the kernel's gradient of the first batch is off by" in said
    expected = [line["validation_loss"] for line in eager]
    assert [line["validation_loss"] for line in found] == pytest.approx(expected, rel=1e-3)
    train("resumed", epochs=1)
    again, _ = train("resumed", resume=True, step="kernel")
    assert [line["validation_loss"] for line in again] == pytest.approx(expected, rel=1e-3)
