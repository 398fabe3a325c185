"""The gather without a scatter, differentiated twice."""

import torch

from app.atoms.neighbors import build_graph
from app.training.export.certificate import model_inputs
from app.training.models.gather import gather
from tests.structures import random_molecule
from tests.training.cards import random_card


def test_the_gathers_gradients_are_each_others():
    graph = build_graph(random_molecule(random_card(4.0), 11, seed=1), 4.0)
    inputs = model_inputs(graph, random_card(4.0))
    mask = inputs.mask.unsqueeze(1).double()
    assert not inputs.mask.all()

    def masked(x: torch.Tensor) -> torch.Tensor:
        return gather(x, inputs.neighbors, inputs.reverse, mask) * mask.transpose(1, 2)

    x = torch.randn(
        11, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_(True)
    assert torch.autograd.gradcheck(masked, x)
    assert torch.autograd.gradgradcheck(masked, x)
