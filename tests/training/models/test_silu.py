import torch

from app.training.models.silu import SiLU, silu


def test_it_is_torchs_silu_and_so_are_its_two_derivatives():
    x = torch.linspace(-8, 8, 33, dtype=torch.float64, requires_grad=True)
    assert torch.equal(silu(x), torch.nn.functional.silu(x))
    assert torch.equal(SiLU()(x), silu(x))
    assert torch.autograd.gradcheck(silu, x)
    assert torch.autograd.gradgradcheck(silu, x)
