"""A training step compiled as one program beside the same step as the trainer takes it.

    python -m benchmarks.compiled_step recipes/equiformer-md17-small/linear-mlp.yaml --data-root
    FOLDER

A step here is energies, forces, mean absolute errors as loss, and its gradients by the parameters;
the optimiser is left out. It is captured once and compiled by Inductor for one shape, so that all
frames must be of one composition, and every batch is padded to the largest number of neighbours of
any atom. The steps take turns on the same batches, one thread; times are those of the processor,
but that of the compilation, which runs in several processes, is wall time. The table ends with the
largest difference of a gradient, relative to the largest gradient, and with the steps after which
the compilation has paid.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch._inductor import config as inductor
from torch._inductor.codegen.cpp import CppScheduling
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.stateless import _reparametrize_module

from app.training.data.batches import Batch
from app.training.data.load import Finder
from app.training.evaluation.forward import predict
from app.training.export.onnx import drop_aliases
from app.training.loop.hardware import set_up
from app.training.loop.problem import Problem, load_problem
from app.training.models import ModelInputs, build_model
from app.training.runs.config import LossConfig, TrainConfig
from app.training.runs.config_file import load_config

Step = Callable[[Batch], list[Tensor]]
"""The gradients of the loss of a batch by the parameters."""

aten = torch.ops.aten
VIEWS = (aten.view.default, aten._unsafe_view.default)
BATCHES = 8


def loss_of(model: torch.nn.Module, batch: Batch, weights: LossConfig) -> Tensor:
    """Weighted mean absolute errors of energies and force vectors; all are labelled, so that no
    value is asked for.
    """
    outputs = predict(model, batch, create_graph=True, stress=False)
    energy = (outputs.energy - batch.targets.energy).abs().mean()
    forces = torch.linalg.vector_norm(outputs.forces - batch.targets.forces, dim=1).mean()
    total: Tensor = weights.energy * energy + weights.forces * forces
    return total


def eager_step(model: torch.nn.Module, config: TrainConfig) -> Step:
    parameters = list(model.parameters())

    def step(batch: Batch) -> list[Tensor]:
        loss = loss_of(model, batch, config.loss)
        return list(torch.autograd.grad(loss, parameters, materialize_grads=True))

    return step


def compiled_step(
    model: torch.nn.Module, config: TrainConfig, example: Batch, as_is: bool
) -> tuple[Step, float]:
    """The step for batches of the example's shape, and the seconds that it took to make."""
    began = time.perf_counter()
    names, parameters = zip(*model.named_parameters(), strict=True)
    values = [p.detach() for p in parameters]

    def function(
        values: list[Tensor], inputs: list[Tensor], energy: Tensor, forces: Tensor
    ) -> list[Tensor]:
        targets = example.targets._replace(energy=energy, forces=forces)
        batch = example._replace(inputs=ModelInputs(*inputs), targets=targets)
        leaves = [value.detach().requires_grad_(True) for value in values]
        with (
            torch.enable_grad(),
            _reparametrize_module(model, dict(zip(names, leaves, strict=True))),
        ):
            loss = loss_of(model, batch, config.loss)
            return list(torch.autograd.grad(loss, leaves, materialize_grads=True))

    def arguments(batch: Batch) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
        return values, list(batch.inputs), batch.targets.energy, batch.targets.forces

    graph = make_fx(function, tracing_mode="real", _allow_non_fake_inputs=True)(*arguments(example))
    drop_aliases(graph)
    for node in graph.graph.nodes:
        if node.op == "call_function" and node.target in VIEWS:
            # Inductor may choose other strides than those that were captured
            node.target = aten.reshape.default
    graph.graph.eliminate_dead_code()
    graph.recompile()
    # With outer loops fused, torch 2.13 gives some networks wrong gradients, silently;
    # pytorch/pytorch#185702 tells of such a fault.
    apart = patch.object(CppScheduling, "can_fuse_vertical_outer_loop", return_value=False)
    with (
        torch.no_grad(),
        nullcontext() if as_is else apart,
        inductor.patch({"cpp.threads": 1, "force_disable_caches": True}),
    ):
        compiled = torch.compile(graph, fullgraph=True, dynamic=False)
        compiled(*arguments(example))

    def step(batch: Batch) -> list[Tensor]:
        with torch.no_grad():
            found: list[Tensor] = compiled(*arguments(batch))
        return found

    return step, time.perf_counter() - began


def padded(batch: Batch, width: int) -> Batch:
    """The same batch with so many slots an atom."""
    inputs = batch.inputs
    n, k = inputs.mask.shape
    own = torch.arange(n * width).reshape(n, width)
    reverse = own.clone()
    reverse[:, :k] = torch.where(
        inputs.mask, inputs.reverse // k * width + inputs.reverse % k, own[:, :k]
    )
    return batch._replace(
        inputs=ModelInputs(
            inputs.species,
            torch.cat([inputs.edge_vectors, inputs.edge_vectors.new_zeros(n, width - k, 3)], dim=1),
            torch.cat([inputs.neighbors, torch.arange(n)[:, None].expand(n, width - k)], dim=1),
            torch.cat([inputs.mask, inputs.mask.new_zeros(n, width - k)], dim=1),
            reverse,
        )
    )


def some_batches(problem: Problem, size: int) -> list[Batch]:
    made = [problem.train(np.arange(i * size, (i + 1) * size)) for i in range(BATCHES)]
    atoms = [torch.stack([batch.inputs.species, batch.structure]) for batch in made]
    if not all(torch.equal(other, atoms[0]) for other in atoms):
        raise SystemExit(
            "frames of several compositions have no one shape; take those of one molecule"
        )
    return made


def busy_ms(step: Step, batch: Batch) -> float:
    began = time.process_time()
    step(batch)
    return 1e3 * (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--as-is",
        action="store_true",
        help="let Inductor fuse outer loops, for some networks wrongly",
    )
    options = parser.parse_args()
    fixed = ["device=cpu", "threads=1", "deterministic=false"]
    config = load_config(options.recipe, [*options.set, *fixed])
    set_up(config)
    problem = load_problem(config, Finder(options.recipe.parent, options.data_root))
    model = build_model(config.model, problem.statistics).train()
    plain = some_batches(problem, config.batch_size)
    wide = [padded(batch, int(problem.train.dataset.width.max())) for batch in plain]
    eager = eager_step(model, config)
    compiled, seconds = compiled_step(model, config, wide[0], options.as_is)

    expected, found = eager(plain[1]), compiled(wide[1])
    largest = max(float(g.abs().max()) for g in expected)
    deviation = (
        max(float((g - h).abs().max()) for g, h in zip(expected, found, strict=True)) / largest
    )
    turns = [(plain[i % BATCHES], wide[i % BATCHES]) for i in range(options.rounds)]
    times = np.array([(busy_ms(eager, one), busy_ms(compiled, other)) for one, other in turns])
    before, after = np.median(times, axis=0)
    ratio = np.median(times[:, 0] / times[:, 1])
    paid = f"{1e3 * seconds / (before - after):.0f}" if after < before else "never"
    print(
        "| recipe | ms a step | compiled | ratio | compilation, s | deviation | paid after steps |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    name = (
        options.recipe.relative_to("recipes")
        if options.recipe.is_relative_to("recipes")
        else options.recipe
    )
    print(
        f"| {name} | {before:.0f} | {after:.0f} | {ratio:.2f} | {seconds:.0f} | {deviation:.1e} | {paid} |"
    )


if __name__ == "__main__":
    main()
