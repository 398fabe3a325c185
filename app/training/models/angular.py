"""Functions of the direction: spherical harmonics, and the couplings between irreps, as tensors."""

import math

import torch
from e3nn import o3
from torch import Tensor, nn

from app.atoms.irreps import Irrep


def coupling(left: Irrep, right: Irrep, out: Irrep) -> Tensor:
    """(2l₁+1, 2l₂+1, 2l₃+1) float64 Clebsch–Gordan tensor; products of unit-variance components
    have unit variance.
    """
    tensor: Tensor = o3.wigner_3j(left[0], right[0], out[0], dtype=torch.float64)
    return tensor * math.sqrt(2 * out[0] + 1)


class SphericalHarmonics(nn.Module):
    """Real spherical harmonics up to l_max, component-normalised, in e3nn's order and signs.

    Each degree follows from the one before: Y^{l+1} ∝ C (Y^l ⊗ Y^1), one small matrix product a
    degree.
    """

    norm: Tensor

    def __init__(self, l_max: int) -> None:
        super().__init__()
        self.l_max = l_max
        direction = torch.nn.functional.normalize(
            torch.tensor([[0.3, -0.5, 0.8]], dtype=torch.float64), dim=-1
        )
        for l in range(1, l_max):
            step = o3.wigner_3j(l, 1, l + 1, dtype=torch.float64).reshape(-1, 2 * l + 3)
            low = o3.spherical_harmonics([l, 1], direction, True, "component")
            high = o3.spherical_harmonics([l + 1], direction, True, "component")
            raw = (low[:, : 2 * l + 1, None] * low[:, None, 2 * l + 1 :]).flatten(1) @ step
            factor = (raw * high).sum() / (raw * raw).sum()
            self.register_buffer(
                f"step{l}", (step * factor).to(torch.get_default_dtype()), persistent=False
            )
        self.register_buffer("norm", torch.tensor(math.sqrt(3)), persistent=False)

    def forward(self, direction: Tensor) -> Tensor:
        """(..., (l_max+1)²) harmonics of (..., 3) unit vectors."""
        degrees = [torch.ones_like(direction[..., :1])]
        first = direction * self.norm
        if self.l_max:
            degrees.append(first)
        for l in range(1, self.l_max):
            product = (degrees[-1].unsqueeze(-1) * first.unsqueeze(-2)).flatten(-2)
            degrees.append(product @ getattr(self, f"step{l}"))
        return torch.cat(degrees, dim=-1)
