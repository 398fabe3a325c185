"""A model as ONNX files, with its gradient and without: captured with `make_fx`, exported with the
dynamo exporter.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx.utils import Extractor
from torch import Tensor
from torch._decomp import get_decompositions
from torch.fx import config as fx_config
from torch.fx.experimental.proxy_tensor import make_fx

from app.backends.artifact import ERRORS, OUTPUTS
from app.training.export.optimize import optimize
from app.training.export.simplify import simplify
from app.training.export.steps import Steps
from app.training.models import LocalInputs, ModelInputs
from app.training.models.derivatives import answers
from app.training.models.network import Network
from app.training.models.uncertainty import WithUncertainty

OPSET = 18

aten = torch.ops.aten
_WITHOUT_ONNX_LOWERING = [
    aten.silu_backward,
    aten.sigmoid_backward,
    aten.tanh_backward,
    aten.native_layer_norm,
    aten.native_layer_norm_backward,
    aten.leaky_relu_backward,
    aten.embedding_dense_backward,
    aten._softmax_backward_data,
    aten.index_select_backward,
    aten.new_zeros,
    aten.zeros_like,
    aten.detach,
    aten.rsub,
]


EXPORT_STEPS = 4
"""Of `export_onnx`."""


def export_onnx(model: Network, path: Path, steps: Steps | None = None) -> None:
    """Write a model with its gradient inside to one ONNX file.

    Inputs are those of `LocalInputs` or `ModelInputs`, in the model's dtype; outputs are `energies`
    (N,) in eV and `edge_gradients` (N, K, 3) in eV/Å, from which forces and stress are sums
    (`app.training.models.derivatives`). N and K are free. Nothing is summed over structures inside,
    so that their number is no dimension of the graph and large totals keep their digits.

    Args:
        model: the model.
        path: of the file.
        steps: are told of each step; there are `EXPORT_STEPS`.
    """
    shown = Steps() if steps is None else steps
    program = export_program(model, steps=shown)
    with (
        shown.step(f"writing {path.name}"),
        quiet("torch.onnx", "onnxscript"),
        without_stack_traces(),
    ):
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=input_names(model),
            output_names=output_names(model),
            verbose=False,
            optimize=False,
        )
        if exported is None:
            raise RuntimeError("the ONNX exporter returned nothing")
        optimize(exported.model)
        exported.save(str(path), external_data=False)


def export_program(
    model: Network, gradient: bool = True, steps: Steps | None = None
) -> torch.export.ExportedProgram:
    """A model with its gradient inside, captured for any N and K: the function that `export_onnx`
    writes.

    It takes the `input_names` one after the other, on the model's device.

    Args:
        model: the model.
        gradient: whether the gradient is given, or left out with what only it needs.
        steps: are told of each step.
    """
    shown = Steps() if steps is None else steps
    parameter = next(model.parameters())
    whole = tracing_inputs(parameter.dtype)
    taken = whole.local() if model.strictly_local else whole
    inputs = [getattr(taken, name).to(parameter.device) for name in input_names(model)]
    with shown.step("capturing the model and its gradient"):
        graph = _capture(model.eval().requires_grad_(False), inputs, output_names(model, gradient))
    with shown.step("simplifying the graph"):
        simplify(graph)
    dynamic = [
        dict.fromkeys(range(min(tensor.dim(), 2)), torch.export.Dim.DYNAMIC) for tensor in inputs
    ]
    with (
        shown.step("tracing it for any number of atoms"),
        quiet("torch.onnx", "onnxscript"),
        without_stack_traces(),
    ):
        return torch.export.export(
            graph, tuple(inputs), dynamic_shapes=tuple(dynamic), strict=False
        )


def input_names(model: Network) -> tuple[str, ...]:
    """The fields of `LocalInputs` or `ModelInputs` that a model takes."""
    fields = (LocalInputs if model.strictly_local else ModelInputs)._fields
    return tuple(name for name in fields if name != "charge" or model.takes_charge)


def output_names(model: Network, gradient: bool = True) -> tuple[str, ...]:
    """What an artifact of a model gives."""
    own = OUTPUTS if gradient else OUTPUTS[:1]
    return (*own, *ERRORS) if isinstance(model, WithUncertainty) else own


def cut_energies(artifact: Path, path: Path) -> None:
    """Write the part of an artifact that gives the energies, without their gradient, to a file of
    its own.

    It is the same forward pass, node by node, with the same inputs.

    Args:
        artifact: as `export_onnx` writes it.
        path: of the part.
    """
    extractor = Extractor(onnx.load(artifact))
    inputs = [i.name for i in extractor.graph.input]
    outputs = [o.name for o in extractor.graph.output if o.name != OUTPUTS[1]]
    onnx.save(extractor.extract_model(inputs, outputs), path)


def tracing_inputs(dtype: torch.dtype) -> ModelInputs:
    """Inputs of 29 atoms with 23 slots: numbers that no width inside a model equals.

    Sizes that coincide are taken for one and the same dimension by the capture, silently.
    """
    atoms, slots = 29, 23
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(atoms, slots, 3, generator=generator, dtype=torch.float64).to(dtype)
    mask = torch.rand(atoms, slots, generator=generator) < 0.8
    neighbors = torch.randint(atoms, (atoms, slots), generator=generator)
    reverse = torch.randperm(atoms * slots, generator=generator).reshape(atoms, slots)
    charge = torch.randn(atoms, generator=generator, dtype=torch.float64).to(dtype)
    species = torch.zeros(atoms, dtype=torch.int64)
    return ModelInputs(species, vectors, neighbors, mask, reverse, charge)


def _capture(
    model: Network, inputs: Sequence[Tensor], wanted: Sequence[str]
) -> torch.fx.GraphModule:
    kind = LocalInputs if model.strictly_local else ModelInputs
    names = input_names(model)

    def answered(*tensors: Tensor) -> tuple[Tensor, ...]:
        return answers(model, kind(**dict(zip(names, tensors, strict=True))))

    table: dict[Any, Callable[..., Any]] = dict(get_decompositions(_WITHOUT_ONNX_LOWERING))
    table[aten.slice_backward.default] = _slice_backward
    table[aten.select_backward.default] = _select_backward
    graph = make_fx(
        answered,
        tracing_mode="symbolic",
        _allow_non_fake_inputs=True,
        decomposition_table=table,
    )(*inputs)
    (output,) = graph.graph.find_nodes(op="output")
    nodes = dict(zip(output_names(model), output.args[0], strict=True))
    output.args = (tuple(nodes[name] for name in wanted),)
    return graph


def _slice_backward(
    grad: Tensor, sizes: list[int], dim: int, start: int, end: int, step: int
) -> Tensor:
    """Gradient of a slice, as a concatenation with zeros: the stock one scatters, which is slow and
    can race.
    """
    if step != 1:
        raise ValueError(f"gradient of a slice with step {step} is not supported by the export")
    size, length, axis = sizes[dim], grad.shape[dim], dim % grad.dim()
    start = start + size if start < 0 else start
    parts = [grad]
    if start != 0:
        parts.insert(0, grad.new_zeros([*grad.shape[:axis], start, *grad.shape[axis + 1 :]]))
    if size - start - length != 0:
        parts.append(
            grad.new_zeros([*grad.shape[:axis], size - start - length, *grad.shape[axis + 1 :]])
        )
    return torch.cat(parts, axis) if len(parts) > 1 else grad.clone()


def _select_backward(grad: Tensor, sizes: list[int], dim: int, index: int) -> Tensor:
    axis = dim % len(sizes)
    at = index if index >= 0 else index + sizes[axis]
    return _slice_backward(grad.unsqueeze(axis), sizes, axis, at, at + 1, 1)


@contextmanager
def without_stack_traces() -> Iterator[None]:
    """What is traced is a graph, whose nodes have no lines of code to tell of; looking for them takes
    a sixth of the time.
    """
    before = fx_config.do_not_emit_stack_traces
    fx_config.do_not_emit_stack_traces = True
    try:
        yield
    finally:
        fx_config.do_not_emit_stack_traces = before


@contextmanager
def quiet(*names: str) -> Any:
    """Exporter and compiler warn about their own internals; what matters is decided by the
    certificate.
    """
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
