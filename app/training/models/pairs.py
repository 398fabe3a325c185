"""What terms of pairs of atoms have in common."""

from collections.abc import Sequence

import torch
from ase.data import atomic_numbers, covalent_radii
from torch import Tensor

from app.training.models.inputs import LocalInputs


def radii(elements: Sequence[str], largest: float) -> Tensor:
    """(S,), Å; covalent radii (Cordero et al., Dalton Trans. 2832, 2008), up to a largest one."""
    numbers = [atomic_numbers[symbol] for symbol in elements]
    return torch.tensor(covalent_radii[numbers].clip(max=largest), dtype=torch.get_default_dtype())


def of_both(table: Tensor, inputs: LocalInputs) -> tuple[Tensor, Tensor]:
    """Entries of an (S,) table for the centres, (N, 1), and their neighbours, (N, K)."""
    neighbors = table.index_select(0, inputs.neighbor_species.flatten())
    centres = table.index_select(0, inputs.species).unsqueeze(1)
    return centres, neighbors.reshape(inputs.mask.shape)


def lengths_below(reach: Tensor, inputs: LocalInputs) -> tuple[Tensor, Tensor]:
    """(N, K) which edges are shorter than their (N, K) reach in Å, and their lengths; what is
    padding, or longer, is put at the reach, where an envelope is zero.
    """
    square = (inputs.edge_vectors * inputs.edge_vectors).sum(-1)
    inside = inputs.mask & (square < reach * reach)
    return inside, torch.where(inside, square, reach * reach).sqrt()
