"""Training steps on the device: both architectures, in each precision."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.gpu_parts.latency import synchronize
from benchmarks.gpu_parts.report import Report, Setup
from benchmarks.structures import ELEMENTS
from benchmarks.timing import median_ms

PRECISIONS = ("full", "tf32", "bfloat16")
BATCH = {"allegro": 32, "equiformer": 8}
TINY_EQUIFORMER = {
    "channels": [8, 4, 2],
    "num_blocks": 1,
    "num_heads": 2,
    "head_channels": [4, 2, 1],
    "feed_forward_channels": [8, 4, 2],
    "readout_channels": 8,
    "num_basis": 8,
    "radial_hidden": [8],
}
"""To try the script."""


def measure(setup: Setup) -> Report:
    """Forward, forces, the gradient of a loss of energies and forces, and the optimiser, on
    distorted aspirins.
    """
    report = Report(
        (
            "architecture",
            "precision",
            "batch",
            "parameters",
            "ms a step",
            "structures/s",
            "peak MiB",
        )
    )
    report.notes.append(
        "aspirins with random labels; Allegro of the benchmark's sizes, Equiformer with its defaults"
    )
    for architecture in BATCH:
        for precision in PRECISIONS:
            try:
                report.rows.append(_case(setup, architecture, precision))
            except Exception as error:
                report.lacks(f"{architecture}, {precision}", error)
    return report


def _case(setup: Setup, architecture: str, precision: str) -> tuple[Any, ...]:
    import torch

    from app.training.evaluation.forward import predict
    from app.training.loop.hardware import set_up
    from app.training.loop.loss import compute_losses
    from app.training.loop.optimizers import make_optimizer
    from app.training.loop.precision import Precision
    from app.training.models import Statistics, build_model

    size = 2 if setup.quick else BATCH[architecture]
    config = _config(setup, architecture, precision, size)
    device = set_up(config, int(setup.device.partition(":")[2] or 0))
    known = Statistics(
        elements=ELEMENTS,
        atomic_energies=dict.fromkeys(ELEMENTS, 0.0),
        force_scale=1.0,
        average_neighbors=15.0,
    )
    batch = _batch(config, known, size).to(device)
    model = build_model(config.model, known).to(device)
    optimizer, exact = make_optimizer(model, config), Precision(precision, device)

    def step() -> None:
        with exact.of_step():
            with exact.of_forward():
                outputs = predict(model, batch, create_graph=True, stress=False)
            losses = compute_losses(outputs, batch.targets, config.loss)
            optimizer.zero_grad(set_to_none=True)
            losses.total.backward()
            optimizer.step()
        synchronize(setup.device)

    on_cuda = device.type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    ms = median_ms(step, 1 if setup.quick else 20, warmup=1 if setup.quick else 5)
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if on_cuda else None
    parameters = sum(p.numel() for p in model.parameters())
    return architecture, precision, size, parameters, ms, 1e3 * size / ms, peak


def _config(setup: Setup, architecture: str, precision: str, size: int) -> Any:
    from app.training.runs.config_file import parse_config
    from benchmarks.own import allegro_config

    model: dict[str, Any] = {"architecture": architecture}
    if architecture == "allegro":
        model = allegro_config(setup.options).model_dump()
    elif setup.quick:
        model |= TINY_EQUIFORMER
    content = {
        "data": {"train": "frames.xyz"},
        "model": model,
        "loss": {"kind": "mse", "forces_per": "component"},
        "optimizer": {"name": "adam", "lr": 0.002},
        "batch_size": size,
        "precision": precision,
        "device": setup.device.partition(":")[0],
        "deterministic": False,
    }
    return parse_config(content, "benchmark")


def _batch(config: Any, known: Any, size: int) -> Any:
    import numpy as np

    from app.training.data.batches import Collator
    from app.training.data.dataset import build_dataset
    from app.training.data.load import Finder, load_sources
    from benchmarks.training import write_frames

    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder) / "frames.xyz", size, None)
        frames = load_sources(config.data.train, Finder(Path(folder)))
    return Collator(build_dataset(frames, config.model.cutoff), known)(np.arange(size))
