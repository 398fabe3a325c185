"""Forces and stress from the energy: the one place that differentiates it.

The energy depends on positions and cell through the edge vectors r_ij = R_j + shift·cell − R_i
alone. With g_ij = ∂E/∂r_ij, the force on atom i is F_i = Σ_j (g_ij − g_ji), and a strain ε, which
takes every r to (1 + ε) r, gives ∂E/∂ε = Σ_ij r_ij ⊗ g_ij: the derivative that the strain trick
takes, without its detour over strained positions and cells. `app.backends.exported` does the same
two sums for an exported model.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from app.training.models.inputs import LocalInputs, ModelInputs
from app.training.models.network import Network
from app.training.models.portions import energies_in_portions
from app.training.models.uncertainty import WithUncertainty


def edge_gradients(
    model: Callable[[Any], Tensor], inputs: LocalInputs | ModelInputs, create_graph: bool = False
) -> tuple[Tensor, Tensor]:
    """Energies (N,) in eV and their gradient g (N, K, 3) in eV/Å by the edge vectors; zero where
    padded.
    """
    with torch.enable_grad():
        vectors = inputs.edge_vectors.detach().requires_grad_(True)
        energies = model(inputs._replace(edge_vectors=vectors))
        (gradient,) = torch.autograd.grad(energies.sum(), vectors, create_graph=create_graph)
    return energies if create_graph else energies.detach(), gradient


def answers(model: Network, inputs: LocalInputs | ModelInputs) -> tuple[Tensor, ...]:
    """What an artifact of a model answers: energies and their gradient as above, and then, where
    the model has them, the estimates of its errors (`app.training.models.uncertainty`).
    """
    if not isinstance(model, WithUncertainty):
        return edge_gradients(model, inputs)
    with torch.enable_grad():
        vectors = inputs.edge_vectors.detach().requires_grad_(True)
        moved = inputs._replace(edge_vectors=vectors)
        features = model.features(moved)
        energies = model.read(features, moved)
        (gradient,) = torch.autograd.grad(energies.sum(), vectors)
    errors = model.errors(features.detach(), inputs)
    return energies.detach(), gradient, *errors


def evaluate(
    model: Network, inputs: ModelInputs, create_graph: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Interaction energies and their derivatives.

    Args:
        model: gives the (N,) energies in eV of `LocalInputs` or, where not `strictly_local`,
            `ModelInputs`.
        inputs: the graph.
        create_graph: whether the derivatives can be differentiated again, as training needs.

    Returns:
        energies (N,) in eV; forces (N, 3) in eV/Å; virials (N, 3, 3) in eV, the atoms' shares of
        dE/dstrain.
    """
    if model.strictly_local:
        in_portions = partial(energies_in_portions, model)
        energies, gradient = edge_gradients(in_portions, inputs.local(), create_graph)
    else:
        energies, gradient = edge_gradients(model, inputs, create_graph)
    return energies, *forces_and_virials(inputs, gradient)


def forces_and_virials(inputs: ModelInputs, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Forces (N, 3) in eV/Å and virials (N, 3, 3) in eV from the (N, K, 3) gradient by the edge
    vectors.
    """
    back = gradient.reshape(-1, 3).index_select(0, inputs.reverse.flatten()).reshape(gradient.shape)
    return (gradient - back).sum(1), inputs.edge_vectors.transpose(1, 2) @ gradient
