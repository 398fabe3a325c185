"""Depth-wise products against those of e3nn, one path after the other."""

import pytest
import torch
from e3nn import o3

from app.training.models.attention import mixed
from app.training.models.product import AttendedProduct, DepthwiseProduct, Path

SINGLE = {"rtol": 1e-5, "atol": 1e-5}  # couplings are single precision where the default is
INS = {(0, 1): 3, (1, -1): 2, (2, 1): 4}


def random(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


@pytest.fixture(params=[-1, 1], ids=["E3", "SE3"])
def ins(request) -> dict[tuple[int, int], int]:
    return {(l, p if l != 1 else request.param): count for (l, p), count in INS.items()}


def of_e3nn(x: list[torch.Tensor], y: torch.Tensor, path: Path) -> torch.Tensor:
    """The products of a path, its harmonics one behind the other."""
    (i, _), (o, _) = path.source, path.out
    products = []
    for b, _ in path.partners:
        clebsch = o3.wigner_3j(i, b, o, dtype=torch.float64) * (2 * o + 1) ** 0.5
        harmonics = y[..., b**2 : (b + 1) ** 2]
        products.append(torch.einsum("nkic,nkj,ijo->nkoc", x[i], harmonics, clebsch))
    return torch.cat(products, dim=-1)


def test_the_products_are_those_of_e3nn(ins):
    x = [random(5, 7, 2 * l + 1, count, seed=l) for (l, _), count in ins.items()]
    y, attention = random(5, 7, 9, seed=3), random(5, 2, 7, seed=4)
    product = DepthwiseProduct(ins, list(ins), list(ins)).double()
    weights = random(5, 7, product.num_weights, seed=5)
    messages = product(x, y, weights)
    whole = mixed(messages, [torch.eye(n, dtype=torch.float64) for n in product.outs.values()])
    scales = torch.split(weights.unsqueeze(2), [path.channels for path in product.paths], dim=-1)
    weighted = [of_e3nn(x, y, path) * w for path, w in zip(product.paths, scales, strict=True)]
    for o, out in enumerate(ins):
        parts = [part for part, p in zip(weighted, product.paths, strict=True) if p.out == out]
        expected = torch.cat(parts, dim=-1)
        torch.testing.assert_close(whole[o], expected, **SINGLE)
        summed = torch.einsum("nhk,nkmc->nhmc", attention, expected)
        torch.testing.assert_close(messages[o].summed(attention), summed, **SINGLE)


def test_attended_products_are_sums_of_those_of_e3nn(ins):
    x = [random(5, 7, 2 * l + 1, count, seed=l) for (l, _), count in ins.items()]
    y, attention = random(5, 7, 9, seed=3), random(5, 2, 7, seed=4)
    product = AttendedProduct(ins, list(ins), list(ins)).double()
    found = product(x, y, attention)
    for sums, out in zip(found, ins, strict=True):
        parts = [of_e3nn(x, y, path) for path in product.paths if path.out == out]
        expected = torch.einsum("nhk,nkmc->nhmc", attention, torch.cat(parts, dim=-1))
        torch.testing.assert_close(sums, expected, **SINGLE)
        assert sums.shape[-1] == product.outs[out]


@pytest.mark.parametrize("make", [DepthwiseProduct, AttendedProduct])
def test_checkpoints_hold_nothing_of_a_product(ins, make):
    assert not make(ins, list(ins), list(ins)).state_dict()
