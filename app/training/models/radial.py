"""Functions of the distance: the Bessel basis and the polynomial envelope."""

import math

import torch
from torch import Tensor, nn


class BesselBasis(nn.Module):
    """b_n(r) = √(2/r_c) sin(nπ r/r_c) / r, n = 1 … N (Gasteiger et al., ICLR 2020, eq. 7)."""

    frequencies: Tensor
    norm: Tensor

    def __init__(self, cutoff: float, count: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.arange(1, count + 1) * math.pi / cutoff, persistent=False)
        self.register_buffer("norm", torch.tensor(math.sqrt(2 / cutoff)), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """(..., N) values at (..., 1) distances in Å, which must not be zero."""
        return torch.sin(distance * self.frequencies) * (self.norm / distance)


class PolynomialEnvelope(nn.Module):
    """u(x) = 1 − (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) − p(p+1)/2 x^(p+2), x = r/r_c; zero from r_c on.

    Value, slope and curvature vanish at the cutoff (Gasteiger et al., ICLR 2020, eq. 8).
    """

    inverse_cutoff: Tensor
    coefficients: Tensor

    def __init__(self, cutoff: float, power: int) -> None:
        super().__init__()
        self.power = power
        p = float(power)
        polynomial = [-(p + 1) * (p + 2) / 2, p * (p + 2), -p * (p + 1) / 2]
        self.register_buffer("inverse_cutoff", torch.tensor(1 / cutoff), persistent=False)
        self.register_buffer("coefficients", torch.tensor(polynomial), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """Values at distances in Å, of the same shape."""
        x = distance * self.inverse_cutoff
        a, b, c = self.coefficients.unbind()
        value = 1 + x.pow(self.power) * (a + x * (b + x * c))
        return torch.where(x < 1, value, torch.zeros_like(value))
