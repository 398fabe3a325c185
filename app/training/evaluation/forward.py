"""The forward pass: energies, forces and stresses of a batch, as training and evaluation see them."""

from typing import NamedTuple

import torch
from torch import Tensor

from app.training.data.batches import Batch
from app.training.models.derivatives import evaluate
from app.training.models.network import Network


class Outputs(NamedTuple):
    """What a model says about a batch.

    Attributes:
        energy: (B,), eV, without reference energies.
        forces: (N, 3), eV/Å.
        stress: (B, 3, 3), eV/Å³, symmetric; meaningless where the structure is not bulk.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor


def predict(model: Network, batch: Batch, create_graph: bool, stress: bool = True) -> Outputs:
    """Energies, forces and stresses of a batch.

    Args:
        model: one of `app.training.models`.
        batch: the structures.
        create_graph: whether the result will be differentiated.
        stress: False saves the sums of virials, and answers zeros.
    """
    return summed(batch, *evaluate(model, batch.inputs, create_graph), stress=stress)


def summed(
    batch: Batch, energies: Tensor, forces: Tensor, virials: Tensor, stress: bool = True
) -> Outputs:
    """The answers of structures from those of their atoms.

    Args:
        batch: the structures.
        energies: (N,), eV.
        forces: (N, 3), eV/Å.
        virials: (N, 3, 3), eV.
        stress: as in `predict`.
    """
    n_structures = len(batch.volume)
    energy = energies.new_zeros(n_structures).index_add(0, batch.structure, energies)
    if not stress:
        return Outputs(energy, forces, torch.zeros_like(batch.targets.stress))
    virial = virials.new_zeros(n_structures, 3, 3).index_add(0, batch.structure, virials)
    return Outputs(
        energy, forces, (virial + virial.transpose(1, 2)) / (2 * batch.volume[:, None, None])
    )
