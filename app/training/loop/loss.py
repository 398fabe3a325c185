"""The loss: weighted errors of energies, forces and stresses."""

from typing import NamedTuple

import torch
from torch import Tensor

from app.atoms.ragged import ranges
from app.atoms.structure import Integers
from app.training.data.batches import Collator, Targets
from app.training.evaluation.forward import Outputs
from app.training.runs.config import LossConfig


class Losses(NamedTuple):
    """Unweighted parts of the loss and their weighted sum, as scalars; energies in eV, lengths in
    Å.
    """

    total: Tensor
    energy: Tensor
    forces: Tensor
    stress: Tensor


class Counts(NamedTuple):
    """Labels over which the means of a loss are taken: structures, atoms with a force, structures
    with a stress.
    """

    structures: int
    forces: int
    stresses: int


def count_labels(collator: Collator, indices: Integers) -> Counts:
    """The labels of (B,) frames."""
    data = collator.dataset
    targets = collator.targets(indices, ranges(data.atom_start[indices], data.n_atoms[indices]))
    return Counts(len(indices), int(targets.has_forces.sum()), int(targets.has_stress.sum()))


def compute_losses(
    outputs: Outputs, targets: Targets, config: LossConfig, counts: Counts | None = None
) -> Losses:
    """Mean errors over structures, and over the components of the forces and stresses that are
    labelled.

    With `forces_per: vector` the error of a force is the length of the difference, and the mean is
    one over atoms. The errors of each structure count `targets.weight` times in these means.

    Args:
        outputs: what a model says.
        targets: what it should say.
        config: which errors, and their weights.
        counts: what the sums of the errors are divided by. By default the labels of these targets;
            the losses of the parts of a batch, divided by the labels of the whole one, add up to
            its loss.
    """
    counts = counts or Counts(
        len(targets.energy), int(targets.has_forces.sum()), int(targets.has_stress.sum())
    )
    factors = loss_factors(config, counts)
    return weighted(
        error_sums(outputs, targets, config), *(outputs.energy.new_tensor(row) for row in factors)
    )


def error_sums(outputs: Outputs, targets: Targets, config: LossConfig) -> Tensor:
    """(3,) sums of the errors of energies, forces and stresses; those without a label are left out.

    No value of a tensor decides what is computed, so that this can be captured.
    """
    energy = outputs.energy - targets.energy
    if config.energy_per == "atom":
        energy = energy / targets.n_atoms
    forces, stress = outputs.forces - targets.forces, outputs.stress - targets.stress
    if config.forces_per == "vector":
        forces = torch.linalg.vector_norm(forces, dim=1, keepdim=True)
    return torch.stack(
        [
            _sum(energy, targets.weight, None, config),
            _sum(forces, targets.atom_weight, targets.has_forces, config),
            _sum(stress, targets.weight, targets.has_stress, config),
        ]
    )


def loss_factors(config: LossConfig, counts: Counts) -> tuple[list[float], list[float]]:
    """What makes losses of the sums of errors: (3,) numbers of errors, and (3,) weights."""
    of_forces = 3 if config.forces_per == "component" else 1
    numbers = (counts.structures, of_forces * counts.forces, 9 * counts.stresses)
    return [max(n, 1) for n in numbers], [config.energy, config.forces, config.stress]


def weighted(sums: Tensor, numbers: Tensor, weights: Tensor) -> Losses:
    """The losses of (3,) sums of errors, by `loss_factors`."""
    parts = sums / numbers
    return Losses((weights * parts).sum(), *parts.unbind())


def _sum(error: Tensor, weight: Tensor, labelled: Tensor | None, config: LossConfig) -> Tensor:
    """Sum of an error of any shape (R, ...), whose R rows count `weight` times where labelled."""
    rows = (-1, *[1] * (error.ndim - 1))
    penalties = weight.reshape(rows) * _penalty(error, config)
    if labelled is not None:
        penalties = torch.where(labelled.reshape(rows), penalties, 0.0)
    return penalties.sum()


def _penalty(error: Tensor, config: LossConfig) -> Tensor:
    if config.kind == "mse":
        return error * error
    size = error.abs()
    if config.kind == "mae":
        return size
    delta = config.huber_delta
    return torch.where(size < delta, 0.5 * error * error / delta, size - 0.5 * delta)
