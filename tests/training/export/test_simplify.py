"""A captured graph with fewer nodes: the same values, whatever the sizes."""

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from app.training.export.simplify import simplify

WEIGHT = torch.arange(12.0).reshape(4, 3)


def products(x, maps):
    """Products of (N, K, 2, 4) features with a matrix, and with maps of each edge, twice the same."""
    rows = x.clone().view(x.shape[0], -1, 4).reshape(x.shape) @ WEIGHT
    again = x.reshape(-1, 4).view(x.shape) @ WEIGHT
    return maps @ rows + (maps @ again).expand(*x.shape[:2], -1, -1)


def in_place(x):
    """What is written in place is a copy."""
    copy = x.clone()
    copy.view(-1).masked_fill_(copy.view(-1) > 0, 0.0)
    return copy + x


def captured(function, *inputs):
    graph = make_fx(function, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*inputs)
    simplify(graph)
    return graph


def test_products_of_many_dimensions_are_one_node():
    graph = captured(products, torch.randn(5, 7, 2, 4), torch.randn(5, 7, 6, 2))
    x, maps = torch.randn(3, 11, 2, 4), torch.randn(3, 11, 6, 2)
    torch.testing.assert_close(graph(x, maps), products(x, maps))
    operators = [str(n.target) for n in graph.graph.nodes if n.op == "call_function"]
    assert operators == ["aten.matmul.default", "aten.matmul.default", "aten.add.Tensor"]


def test_what_is_written_in_place_stays_a_copy():
    graph = captured(in_place, torch.randn(5, 7))
    x = torch.randn(3, 11)
    torch.testing.assert_close(graph(x.clone()), in_place(x))
