"""An exported ONNX graph with constants folded and what is redundant left out."""

import onnx_ir as ir
from onnx_ir.passes import Sequential, common
from onnxscript.optimizer import fold_constants
from onnxscript.rewriter import rewrite
from onnxscript.rewriter.rules.common import (
    add_0_rule,
    cast_cast_rule,
    collapse_slice2_rule,
    collapse_slice_rule,
    div_by_1_rule,
    materialize_reshape_shape_rule,
    mul_by_1_rule,
    no_op_cast_rule,
    no_op_expand_rule,
    no_op_transpose_rule,
    one_reshape_matmul_reshape_rule,
    reshape_reshape_rule,
    squeeze_reshape_1d_rule,
    sub_0_rule,
    transpose_transpose_rule,
    two_reshapes_matmul_reshape_rule,
    unsqueeze_unsqueeze_rule,
)

_RULES = [
    mul_by_1_rule,
    add_0_rule,
    sub_0_rule,
    div_by_1_rule,
    one_reshape_matmul_reshape_rule,
    two_reshapes_matmul_reshape_rule,
    collapse_slice_rule,
    collapse_slice2_rule,
    materialize_reshape_shape_rule,
    cast_cast_rule,
    no_op_cast_rule,
    no_op_expand_rule,
    reshape_reshape_rule,
    no_op_transpose_rule,
    transpose_transpose_rule,
    unsqueeze_unsqueeze_rule,
    squeeze_reshape_1d_rule,
]
"""Of `onnxscript`'s default rules those that our networks have a use for.

`slice_split_rule` is not among them: for two nodes that it matches at once, it goes through the
whole graph at each node, which took most of the time of an export of a thousand nodes and more.
"""
_ROUNDS = 2


def optimize(model: ir.Model) -> None:
    """Do what `torch.onnx.export(optimize=True)` does, but for some rules.

    Args:
        model: is changed.
    """
    common.InlinePass()(model)
    for _ in range(_ROUNDS):
        fold_constants(model, onnx_shape_inference=True)
        rewrite(model, _RULES)
    Sequential(
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.OutputFixPass(),
        common.NameFixPass(),
    )(model)
