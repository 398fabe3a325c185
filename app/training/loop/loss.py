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
    energy = outputs.energy - targets.energy
    if config.energy_per == "atom":
        energy = energy / targets.n_atoms
    forces, of_atoms = outputs.forces - targets.forces, targets.atom_weight
    if not bool(targets.has_forces.all()):
        forces, of_atoms = forces[targets.has_forces], of_atoms[targets.has_forces]
    stress, of_stress = (
        x[targets.has_stress] for x in (outputs.stress - targets.stress, targets.weight)
    )
    if config.forces_per == "vector":
        forces = torch.linalg.vector_norm(forces, dim=1)
    counts = counts or Counts(len(energy), len(forces), len(stress))
    parts = [
        _mean_error(energy, targets.weight, counts.structures, config),
        _mean_error(forces, of_atoms, counts.forces, config),
        _mean_error(stress, of_stress, counts.stresses, config),
    ]
    total = config.energy * parts[0] + config.forces * parts[1] + config.stress * parts[2]
    return Losses(total, *parts)


def _mean_error(error: Tensor, weight: Tensor, count: int, config: LossConfig) -> Tensor:
    """Mean of an error of any shape (R, ...), whose R rows, of `count`, count `weight` times."""
    if error.numel() == 0:
        return error.new_zeros(())
    penalties = weight.reshape(-1, *[1] * (error.ndim - 1)) * _penalty(error, config)
    return penalties.sum() / (count * error[0].numel())


def _penalty(error: Tensor, config: LossConfig) -> Tensor:
    if config.kind == "mse":
        return error * error
    size = error.abs()
    if config.kind == "mae":
        return size
    delta = config.huber_delta
    return torch.where(size < delta, 0.5 * error * error / delta, size - 0.5 * delta)
