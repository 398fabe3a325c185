"""Forces and stress from the energy: the one place that differentiates it, and the one place with a sign.

The energy depends on positions and cell through the edge vectors r_ij = R_j + shift·cell − R_i alone. With
g_ij = ∂E/∂r_ij, the force on atom i is F_i = Σ_j (g_ij − g_ji), and a strain ε, which takes every r to
(1 + ε) r, gives ∂E/∂ε = Σ_ij r_ij ⊗ g_ij: the derivative that the strain trick takes, without its detour
over strained positions and cells.
"""

import torch
from torch import Tensor, nn

from app.training.models import ModelInputs


def evaluate(model: nn.Module, inputs: ModelInputs, create_graph: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Interaction energies and their derivatives.

    Args:
        model: maps species, edge vectors, neighbours and mask to (N,) energies in eV.
        inputs: the graph.
        create_graph: whether the derivatives can be differentiated again, as training needs.

    Returns:
        energies (N,) in eV; forces (N, 3) in eV/Å; virials (N, 3, 3) in eV, the atoms' shares of dE/dstrain.
    """
    with torch.enable_grad():
        vectors = inputs.edge_vectors.detach().requires_grad_(True)
        energies = model(inputs.species, vectors, inputs.neighbors, inputs.mask)
        (gradient,) = torch.autograd.grad(energies.sum(), vectors, create_graph=create_graph)
    back = gradient.reshape(-1, 3).index_select(0, inputs.reverse.flatten()).reshape(gradient.shape)
    forces = (gradient - back).sum(1)
    virials = vectors.detach().transpose(1, 2) @ gradient
    if not create_graph:
        energies = energies.detach()
    return energies, forces, virials
