"""Where our training step spends its time: its parts, and the operators that cost most."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn
from torch.profiler import ProfilerActivity, record_function
from torch.profiler import profile as profiled

from app.training.evaluation.forward import predict
from app.training.loop.loss import compute_losses
from benchmarks.own_training import OwnStep

Result = TypeVar("Result")
STEPS = 10
TOP = 20
PARTS = ("forward", "force backward", "loss", "double backward", "optimiser")


class Marked(nn.Module):
    """A model whose forward shows in the profile."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.strictly_local = model, model.strictly_local

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        with record_function("forward"):
            energies: Tensor = self.model(inputs)
        return energies


def profile(options: argparse.Namespace, data: Path, size: int) -> str:
    """The parts of a step and the most expensive operators, as tables.

    Args:
        options: of the command line.
        data: labelled frames, extXYZ.
        size: structures a batch.
    """
    step = OwnStep(argparse.Namespace(**{**vars(options), "data": data, "batch_size": size}))
    marked = Marked(step.model)
    for batch in range(step.batches):
        marked_step(step, marked, batch)
    with profiled(activities=[ProfilerActivity.CPU]) as found:
        for number in range(STEPS):
            marked_step(step, marked, number % step.batches)
    events = found.key_averages()
    ms = {event.key: event.cpu_time_total / 1e3 / STEPS for event in events}
    ms["force backward"] = ms["energy and forces"] - ms["forward"]
    total = sum(ms[part] for part in PARTS)
    lines = [
        f"batches of {size}: {total:.1f} ms a step under the profiler, {step.batches} batches in turn"
    ]
    lines += [f"  {part:<16}{ms[part]:>9.2f} ms{ms[part] / total:>7.0%}" for part in PARTS]
    return "\n".join(
        [
            *lines,
            events.table(sort_by="self_cpu_time_total", row_limit=TOP, max_name_column_width=60),
        ]
    )


def marked_step(step: OwnStep, model: nn.Module, batch: int) -> None:
    """The step of `OwnStep`, its parts marked."""
    data = step.ready[batch]
    outputs = _marked(
        "energy and forces", lambda: predict(model, data, create_graph=True, stress=False)
    )
    losses = _marked("loss", lambda: compute_losses(outputs, data.targets, step.loss))
    step.optimizer.zero_grad(set_to_none=True)
    _marked("double backward", losses.total.backward)
    _marked("optimiser", step.optimizer.step)


def _marked(name: str, call: Callable[[], Result]) -> Result:
    with record_function(name):
        return call()
