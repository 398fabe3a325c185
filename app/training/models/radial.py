"""Functions of the distance: radial bases and the polynomial envelope."""

import math

import torch
from torch import Tensor, nn


class BesselBasis(nn.Module):
    """b_n(r) = √(2/r_c) sin(nπ r/r_c) / r, n = 1 … N (Gasteiger et al., ICLR 2020, eq. 7).

    Where they are trainable, the nπ/r_c are where the frequencies begin.
    """

    frequencies: Tensor
    norm: Tensor

    def __init__(self, cutoff: float, count: int, trainable: bool = False) -> None:
        super().__init__()
        frequencies = torch.arange(1, count + 1) * math.pi / cutoff
        if trainable:
            self.frequencies = nn.Parameter(frequencies)
        else:
            self.register_buffer("frequencies", frequencies, persistent=False)
        self.register_buffer("norm", torch.tensor(math.sqrt(2 / cutoff)), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """(..., N) values at (..., 1) distances in Å, which must not be zero."""
        return torch.sin(distance * self.frequencies) * (self.norm / distance)


class ExponentialNormalBasis(nn.Module):
    """φ_k(r) = f_c(r) exp(−β (exp(−5 r/r_c) − μ_k)²), f_c(r) = (1 + cos(π r/r_c))/2; zero from r_c
    on.

    The N centres μ_k are evenly spaced from e⁻⁵ to 1, β = (2 (1 − e⁻⁵)/N)⁻² (Unke & Meuwly, JCTC
    15, 3678, 2019, with the initial values of the published Equiformer and TorchMD-Net, held
    fixed).
    """

    centres: Tensor
    steepness: Tensor
    decay: Tensor
    frequency: Tensor
    one_half: Tensor

    def __init__(self, cutoff: float, count: int) -> None:
        super().__init__()
        lowest = math.exp(-5)
        constants = {
            "centres": torch.linspace(lowest, 1, count),
            "steepness": torch.tensor((2 * (1 - lowest) / count) ** -2),
            "decay": torch.tensor(5 / cutoff),
            "frequency": torch.tensor(math.pi / cutoff),
            "one_half": torch.tensor(0.5),
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """(..., N) values at (..., 1) distances in Å."""
        offset = torch.exp(-distance * self.decay) - self.centres
        phase = (distance * self.frequency).clamp(max=math.pi)
        return torch.exp(-offset * offset * self.steepness) * (
            self.one_half + self.one_half * torch.cos(phase)
        )


class GaussianBasis(nn.Module):
    """φ_k(r) = exp(−((r − μ_k)/σ)²/2) with N centres μ_k evenly spaced from 0 to r_c, σ their
    distance.
    """

    centres: Tensor
    steepness: Tensor

    def __init__(self, cutoff: float, count: int) -> None:
        super().__init__()
        width = cutoff / max(count - 1, 1)
        self.register_buffer("centres", torch.linspace(0, cutoff, count), persistent=False)
        self.register_buffer("steepness", torch.tensor(0.5 / width**2), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """(..., N) values at (..., 1) distances in Å."""
        offset = distance - self.centres
        return torch.exp(-offset * offset * self.steepness)


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
        """(..., 1) values at (..., 1) distances in Å."""
        x = distance * self.inverse_cutoff
        a, b, c = self.coefficients.unbind()
        value = 1 + x.pow(self.power) * (a + x * (b + x * c))
        return torch.where(x < 1, value, torch.zeros_like(value))


class XplorEnvelope(nn.Module):
    """u(r) = 1 up to the onset r_0, then (c − s)² (c + 2s − 3o) / (c − o)³ with s = r², c = r_c²
    and o = r_0²; zero from r_c on.

    Value and slope vanish at the cutoff (the switching function of X-PLOR; Brooks et al., J.
    Comput. Chem. 4, 187, 1983, eq. 13).
    """

    squares: Tensor
    inverse: Tensor

    def __init__(self, cutoff: float, onset: float) -> None:
        super().__init__()
        c, o = cutoff**2, onset**2
        self.register_buffer("squares", torch.tensor([c, o]), persistent=False)
        self.register_buffer("inverse", torch.tensor((c - o) ** -3), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """(..., 1) values at (..., 1) distances in Å."""
        end, onset = self.squares.unbind()
        square = torch.minimum(torch.maximum(distance * distance, onset), end)
        rest = end - square
        value: Tensor = rest * rest * (end + 2 * square - 3 * onset) * self.inverse
        return value


class AgnesiTransform(nn.Module):
    """y(r) = 1 / (1 + a ρ^q / (1 + ρ^(q−p))), ρ = r / r₀, r₀ the mean of two covalent radii: close to
    1 at short range, where it resolves distances that a radial basis would not (Witt et al., J.
    Chem. Phys. 159, 164101, 2023).
    """

    constants: Tensor

    def __init__(self, q: float = 0.9183, p: float = 4.5791, a: float = 1.0805) -> None:
        super().__init__()
        self.register_buffer("constants", torch.tensor([q, q - p, a]), persistent=False)

    def forward(self, distance: Tensor, radii: Tensor) -> Tensor:
        """(..., 1) values at (..., 1) distances in Å, of pairs with (..., 1) sums of radii in Å."""
        q, rest, a = self.constants.unbind()
        ratio = distance * 2 / radii
        steep = 1 + ratio.pow(rest)
        return steep / (steep + a * ratio.pow(q))
