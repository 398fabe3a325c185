"""Symmetric contractions have every equivariant polynomial once."""

import math

import pytest
import torch
from e3nn import o3

from app.training.models.contraction import SymmetricContraction, polynomials

L_MAX = 2
SIZE = 9


def dimension(degree: int, out: int) -> int:
    """How often an irrep is among the symmetric products of so many features, by characters: the mean
    over all rotations of its own character times that of the products, with (−1)^l under inversion.
    """
    count, total = 4000, 0.0
    for step in range(count):
        angle = math.pi * (step + 0.5) / count
        measure = (1 - math.cos(angle)) / count

        def character(power: int, sign: int, l_values=range(L_MAX + 1), angle=angle) -> float:
            return sum(
                sign ** (l * power)
                * math.sin((l + 0.5) * power * angle)
                / math.sin(power * angle / 2)
                for l in l_values
            )

        for sign in (1, -1):
            p1, p2, p3 = (character(power, sign) for power in (1, 2, 3))
            products = (p1, (p1**2 + p2) / 2, (p1**3 + 3 * p1 * p2 + 2 * p3) / 6)[degree - 1]
            total += measure * products * character(1, sign, [out]) / 2
    return round(total)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("out", [0, 1, 2])
def test_there_are_as_many_as_the_characters_say(degree, out):
    assert len(polynomials(L_MAX, degree, out)) == dimension(degree, out)


@pytest.mark.parametrize("degree", [2, 3])
def test_they_are_independent_as_polynomials(degree):
    x = torch.randn(400, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for out in range(L_MAX + 1):
        letters = "ijk"[:degree]
        values = torch.einsum(
            f"p{letters}m,{','.join('n' + letter for letter in letters)}->pnm",
            polynomials(L_MAX, degree, out),
            *[x] * degree,
        ).flatten(1)
        assert torch.linalg.matrix_rank(values) == len(values)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_results_rotate_with_the_features(double):
    torch.manual_seed(3)
    contraction = SymmetricContraction(L_MAX, [0, 1, 2], 3, 4, 2)
    x = [torch.randn(5, 2 * l + 1, 4) for l in range(L_MAX + 1)]
    species = torch.tensor([0, 1, 0, 1, 1])
    rotation = o3.rand_matrix()
    turn = [o3.Irrep(l, 1).D_from_matrix(rotation) for l in range(L_MAX + 1)]
    turned = contraction([d @ t for d, t in zip(turn, x, strict=True)], species)
    for d, before, after in zip(turn, contraction(x, species), turned, strict=True):
        torch.testing.assert_close(d @ before, after, rtol=1e-9, atol=1e-9)
