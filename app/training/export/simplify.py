"""A captured graph with fewer nodes: the exporters trace it again, node by node, and what they take
grows with it.

Nearly half of what a capture records are shapes: products of tensors with more than three
dimensions become expansions that expand nothing, flattenings, and sizes that are computed again
for each.
"""

from collections.abc import Hashable, Iterator
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

aten = torch.ops.aten

_RESHAPES = (aten.view.default, aten._unsafe_view.default, aten.reshape.default)
_PRODUCTS = (aten.mm.default, aten.bmm.default)
_SAME_WHERE_THE_SHAPE_IS = (*_RESHAPES, aten.expand.default)
_SAME = (aten.detach.default, aten.alias.default, aten.clone.default)


def simplify(graph: GraphModule) -> None:
    """Leave out of a graph of aten's operators what changes nothing, and what is there already.

    Each node needs its value with symbolic sizes, as `make_fx` leaves it in `meta["val"]`. What is
    written in place is left as it is.

    Args:
        graph: is changed.
    """
    nodes = graph.graph.nodes
    kept = {each for node in nodes if _writes(node) for each in (node, *_written(node.args[0]))}
    first: dict[Hashable, Node] = {}
    for node in list(nodes):
        if node.op not in ("call_function", "get_attr") or node in kept:
            continue
        product = _unflattened(node) if node.target in _PRODUCTS else None
        if product is not None:
            _replace(product, first.setdefault(_key(product), product))
        if node.target in _RESHAPES:
            _reshape_at_once(node, kept)
        _replace(node, _its_input(node, kept) or first.setdefault(_key(node), node))
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _replace(node: Node, same: Node) -> None:
    if same is not node:
        node.replace_all_uses_with(same)
        node.graph.erase_node(node)


def _writes(node: Node) -> bool:
    target = node.target
    return isinstance(target, torch._ops.OpOverload) and target._schema.is_mutable


def _written(node: Any) -> Iterator[Node]:
    """The node that is written to, and those that it is a view of."""
    while isinstance(node, Node):
        yield node
        target = node.target
        views = isinstance(target, torch._ops.OpOverload) and any(
            returned.alias_info is not None for returned in target._schema.returns
        )
        node = node.args[0] if views else None


def _its_input(node: Node, kept: set[Any]) -> Node | None:
    """The node that this one gives as it is."""
    given = node.args[0] if node.args else None
    if not isinstance(given, Node) or given in kept:
        return None
    same = node.target in _SAME or (
        node.target in _SAME_WHERE_THE_SHAPE_IS and _shape(node) == _shape(given)
    )
    return given if same else None


def _reshape_at_once(node: Node, kept: set[Any]) -> None:
    """Reshape what was reshaped before, with a constant shape where one size alone is free."""
    taken: Any = node.args
    given, sizes = taken
    while given.target in _RESHAPES and given not in kept:
        given = given.args[0]
    free = [size for size in sizes if isinstance(size, Node)]
    if len(free) == 1 and -1 not in sizes:
        sizes = [-1 if isinstance(size, Node) else size for size in sizes]
    node.target, node.args = aten.reshape.default, (given, sizes)


def _key(node: Node) -> Hashable:
    """Equal for nodes of equal values: of constants the tensor, of sizes the expression, of others
    what makes them.
    """
    if isinstance(node.target, str):
        return "constant", id(getattr(node.graph.owning_module, node.target))
    value = node.meta["val"]
    if isinstance(value, torch.SymInt):
        return (value.node.expr,)
    return node.target, repr(map_arg(node.args, _name)), repr(map_arg(node.kwargs, _name))


def _name(node: Node) -> str:
    return node.name


def _unflattened(node: Node) -> Node | None:
    """The product of tensors that were flattened for it, before that node, which becomes a reshape of
    it.
    """
    matrix = 1 if node.target == aten.mm.default else 2  # dimensions that are not flattened
    factors: list[Any] = list(node.args[:2])
    flat = factors[:1] if matrix == 1 else factors
    if any(factor.target != aten.reshape.default for factor in flat):
        return None
    whole = [factor.args[0] for factor in flat]
    shapes = [_shape(factor) for factor in whole]
    fits = all(
        shape[:-matrix] == shapes[0][:-matrix] and shape[-matrix:] == _shape(factor)[-matrix:]
        for shape, factor in zip(shapes, flat, strict=True)
    )
    columns = flat[1].args[1][-1] if matrix == 2 else node.meta["val"].shape[-1]
    sizes = [*flat[0].args[1][:-1], columns]
    if not fits or sizes.count(-1) > 1 or isinstance(columns, torch.SymInt):
        return None
    with node.graph.inserting_before(node):
        product = node.graph.call_function(aten.matmul.default, (*whole, *factors[len(whole) :]))
    leading, value = whole[0].meta["val"].shape[:-matrix], node.meta["val"]
    product.meta["val"] = value.new_empty((*leading, *value.shape[-matrix:]))
    node.target, node.args = aten.reshape.default, (product, sizes)
    return product


def _shape(node: Node) -> tuple[str, ...]:
    return tuple(str(size) for size in node.meta["val"].shape)
