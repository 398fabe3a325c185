import math

import pytest
import torch

from app.training.models.radial import (
    BesselBasis,
    ExponentialNormalBasis,
    GaussianBasis,
    PolynomialEnvelope,
)

CUTOFF = 5.0


@pytest.mark.parametrize("power", [2, 6, 48])
def test_envelope_ends_with_zero_value_slope_and_curvature(power):
    envelope = PolynomialEnvelope(CUTOFF, power).double()
    just_inside = torch.tensor([CUTOFF * (1 - 1e-9)], dtype=torch.float64, requires_grad=True)
    value = envelope(just_inside)
    (slope,) = torch.autograd.grad(value.sum(), just_inside, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), just_inside)
    assert abs(value.item()) < 1e-6
    assert abs(slope.item()) < 1e-6
    assert abs(curvature.item()) < 1e-3


def test_envelope_is_one_at_zero_and_zero_beyond_the_cutoff():
    envelope = PolynomialEnvelope(CUTOFF, 6)
    assert envelope(torch.tensor([0.0])).item() == 1
    assert envelope(torch.tensor([CUTOFF, CUTOFF + 1e-6, 100.0])).abs().max().item() == 0


def test_bessel_functions_are_orthonormal_in_the_sphere():
    basis = BesselBasis(CUTOFF, 4).double()
    r = torch.linspace(1e-9, CUTOFF, 20001, dtype=torch.float64)[:, None]
    values = basis(r) * r
    overlap = values.T @ values * (CUTOFF / 20000)
    torch.testing.assert_close(overlap, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-3)


def test_first_bessel_function_by_hand():
    value = BesselBasis(CUTOFF, 1).double()(torch.tensor([[2.0]], dtype=torch.float64))
    assert value.item() == pytest.approx(math.sqrt(2 / CUTOFF) * math.sin(math.pi * 2 / CUTOFF) / 2)


def test_exponential_normal_functions_by_hand():
    values = ExponentialNormalBasis(CUTOFF, 32).double()(
        torch.tensor([[2.0]], dtype=torch.float64)
    )[0]
    beta = (2 / 32 * (1 - math.exp(-5))) ** -2
    for k in (0, 5, 31):
        centre = math.exp(-5) + k * (1 - math.exp(-5)) / 31
        expected = (
            0.5 * (1 + math.cos(math.pi * 2 / 5)) * math.exp(-beta * (math.exp(-2) - centre) ** 2)
        )
        assert values[k].item() == pytest.approx(expected, rel=1e-6)


def test_exponential_normal_functions_are_zero_from_the_cutoff_on():
    distances = torch.tensor([[CUTOFF], [CUTOFF + 0.1], [2 * CUTOFF]], dtype=torch.float64)
    assert ExponentialNormalBasis(CUTOFF, 8).double()(distances).abs().max().item() < 1e-12


def test_each_gaussian_is_one_at_its_centre():
    basis = GaussianBasis(CUTOFF, 6).double()
    torch.testing.assert_close(
        basis(torch.arange(6, dtype=torch.float64)[:, None]).diagonal(), torch.ones(6).double()
    )
