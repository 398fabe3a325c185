"""Losses by hand, the moving average, and the schedules."""

import pytest
import torch

from app.training.data.batches import Targets
from app.training.evaluation.forward import Outputs
from app.training.loop.loss import compute_losses
from app.training.runs.config import LossConfig

TARGETS = Targets(
    energy=torch.tensor([1.0, 2.0]),
    forces=torch.zeros(3, 3),
    stress=torch.zeros(2, 3, 3),
    has_forces=torch.tensor([True, True, True]),
    has_stress=torch.tensor([True, False]),
    n_atoms=torch.tensor([1.0, 2.0]),
    weight=torch.ones(2),
)
MEAN_SQUARE = LossConfig(kind="mse", forces_per="component")
OUTPUTS = Outputs(
    energy=torch.tensor([1.5, 0.0]),
    forces=torch.full((3, 3), -0.1),
    stress=torch.full((2, 3, 3), 0.2),
)


@pytest.mark.parametrize(
    ("keys", "energy", "forces", "stress"),
    [
        ({"kind": "mse"}, (0.25 + 1) / 2, 0.01, 0.04),
        ({"kind": "mae"}, (0.5 + 1) / 2, 0.1, 0.2),
        ({"kind": "mae", "energy_per": "structure"}, (0.5 + 2) / 2, 0.1, 0.2),
        ({"kind": "huber", "huber_delta": 0.2}, (0.5 + 1) / 2 - 0.1, 0.5 * 0.01 / 0.2, 0.1),
    ],
)
def test_losses_by_hand(keys, energy, forces, stress):
    losses = compute_losses(
        OUTPUTS, TARGETS, LossConfig(energy=2, forces=3, stress=5, forces_per="component", **keys)
    )
    assert [float(x) for x in losses[1:]] == pytest.approx([energy, forces, stress])
    assert float(losses.total) == pytest.approx(2 * energy + 3 * forces + 5 * stress)


@pytest.mark.parametrize(("kind", "expected"), [("mae", 5.0), ("mse", 25.0), ("huber", 5.0 - 0.1)])
def test_forces_by_vector_do_not_depend_on_the_axes(kind, expected):
    turned = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 5.0], [5.0, 0.0, 0.0]])
    config = LossConfig(kind=kind, forces_per="vector", huber_delta=0.2)
    losses = compute_losses(OUTPUTS._replace(forces=turned), TARGETS, config)
    assert float(losses.forces) == pytest.approx(expected)


def test_the_gradient_of_a_vector_norm_is_finite_where_nothing_is_wrong():
    forces = torch.zeros(3, 3, requires_grad=True)
    losses = compute_losses(
        OUTPUTS._replace(forces=forces), TARGETS, LossConfig(kind="mae", forces_per="vector")
    )
    losses.forces.backward()
    assert torch.equal(forces.grad, torch.zeros(3, 3))


def test_forces_that_are_not_labelled_are_not_learnt():
    targets = TARGETS._replace(has_forces=torch.tensor([True, False, False]))
    outputs = OUTPUTS._replace(forces=torch.tensor([[0.1] * 3, [9.0] * 3, [9.0] * 3]))
    assert float(compute_losses(outputs, targets, MEAN_SQUARE).forces) == pytest.approx(0.01)
    targets = TARGETS._replace(has_forces=torch.tensor([False, False, False]))
    assert float(compute_losses(outputs, targets, MEAN_SQUARE).forces) == 0


def test_weights_multiply_the_errors_of_their_structures():
    targets = TARGETS._replace(
        weight=torch.tensor([10.0, 1.0]), has_stress=torch.tensor([True, True])
    )
    losses = compute_losses(OUTPUTS, targets, MEAN_SQUARE)
    assert [float(x) for x in losses[1:]] == pytest.approx(
        [(2.5 + 1) / 2, 0.01 * 12 / 3, 0.04 * 11 / 2]
    )


def test_without_any_stress_its_loss_is_zero():
    targets = TARGETS._replace(has_stress=torch.tensor([False, False]))
    assert float(compute_losses(OUTPUTS, targets, LossConfig(stress=1)).stress) == 0


def test_huber_is_continuous_where_it_turns():
    def at(error):
        outputs = OUTPUTS._replace(forces=torch.full((3, 3), error, dtype=torch.float64))
        return float(
            compute_losses(
                outputs, TARGETS, LossConfig(kind="huber", forces_per="component", huber_delta=0.3)
            ).forces
        )

    assert at(0.3 - 1e-9) == pytest.approx(at(0.3 + 1e-9), abs=1e-8) == pytest.approx(0.15)
