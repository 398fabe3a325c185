"""The benchmark of a training step takes real steps, and would notice a step that does not learn
from forces.
"""

import argparse

import pytest
import torch

from benchmarks.own_training import OwnStep, train_config
from benchmarks.training import BATCHES, write_frames
from benchmarks.training_step import second_derivative_error

SIZES = {
    "l_max": 1,
    "layers": 1,
    "scalars": 8,
    "tensors": 2,
    "cutoff": 4.0,
    "average_neighbors": 10.0,
}


@pytest.fixture
def options(tmp_path):
    data = tmp_path / "frames.xyz"
    write_frames(data, BATCHES)
    about = {"batch_size": 1, "mode": "eager", "device": "cpu", "threads": 1}
    return argparse.Namespace(data=data, **about, **SIZES)


@pytest.mark.parametrize("mode", ["eager", "kernel"])
def test_a_step_learns_energies_and_forces(options, mode):
    if mode == "kernel":
        pytest.importorskip("equipot_kernel", reason="the kernel is not installed")
    step = OwnStep(argparse.Namespace(**{**vars(options), "mode": mode}))
    assert step.batches == BATCHES
    before, loss = [p.detach().clone() for p in step.parameters], step.force_loss(0).item()
    assert second_derivative_error(step) < 0.01
    for a, b in zip(before, step.parameters, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    for _ in range(5):
        step(0)
    assert step.force_loss(0).item() < loss


def test_a_gradient_that_is_not_that_of_the_loss_is_noticed(options, monkeypatch):
    step = OwnStep(options)
    loss = step.force_loss

    def wrong(batch: int) -> torch.Tensor:
        """The loss, with the gradient of something else."""
        other = sum(p.square().sum() for p in step.parameters)
        return loss(batch).detach() + other - other.detach()

    monkeypatch.setattr(step, "force_loss", wrong)
    assert second_derivative_error(step) > 0.1


@pytest.mark.parametrize(
    ("mode", "architecture", "precision"),
    [
        ("eager", "allegro", "full"),
        ("bfloat16", "allegro", "bfloat16"),
        ("equiformer eager", "equiformer", "full"),
    ],
)
def test_a_mode_names_architecture_and_precision(options, mode, architecture, precision):
    config = train_config(argparse.Namespace(**{**vars(options), "mode": mode}))
    assert (config.model.architecture, config.precision) == (architecture, precision)
