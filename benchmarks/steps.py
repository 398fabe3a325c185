"""One measurement of Equiformer at its published size, in a process of its own: time and the most
memory held.

    python -m benchmarks.steps '{"variant": "linear", "system": "aspirin", "copies": 8, "task":
    "step"}'

`benchmarks.equiformer` and `benchmarks.memory` start it for each of their rows.
"""

import json
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import partial

import torch
from ase import Atoms
from torch import Tensor, nn

from app.atoms.neighbors import build_graphs
from app.formats.ase_atoms import from_ase
from app.store.card import ModelCard
from app.training.export.certificate import model_inputs
from app.training.loop.hardware import keep_freed_memory
from app.training.models import EquiformerConfig, ModelInputs, Statistics, build_model
from app.training.models.derivatives import evaluate
from benchmarks.structures import ELEMENTS, chain, rattled_aspirins, solid, strands
from benchmarks.timing import median_ms

VARIANTS = {
    "non-linear": {"attention": "mlp", "nonlinear_messages": True},
    "linear": {"attention": "mlp", "nonlinear_messages": False},
    "dot product": {"attention": "dot_product", "nonlinear_messages": False},
}
SIZES = {
    "published": {
        "channels": (128, 64, 32),
        "num_blocks": 6,
        "head_channels": (32, 16, 8),
        "feed_forward_channels": (384, 192, 96),
        "readout_channels": 512,
    },
    "small": {"num_blocks": 2},
}
CHAINS = {f"chain of {n}": n for n in (20, 60, 120)}
SOLIDS = {"solid of 20": (5, 2, 2), "solid of 60": (5, 4, 3), "solid of 120": (6, 5, 4)}
MIB = 2**20


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        variant: a key of `VARIANTS`.
        system: `aspirin`, `strands` (60 atoms), or a key of `CHAINS` or `SOLIDS`.
        copies: structures in the batch, each distorted in its own way.
        task: `evaluate` for energies and forces, or `step` for the gradient of a loss that holds
            both.
        checkpointing: whether activations are recomputed.
        size: a key of `SIZES`.
        repeats: timed calls.
    """

    variant: str
    system: str
    copies: int
    task: str
    checkpointing: bool = False
    size: str = "published"
    repeats: int = 3


@dataclass(frozen=True)
class Measurement:
    """What came out.

    Attributes:
        atoms: of the batch.
        edges: of the batch.
        ms: median wall time of a call.
        peak_mib: the most memory of the process, MiB.
        base_mib: the same before the first call: program, libraries and model.
    """

    atoms: int
    edges: int
    ms: float
    peak_mib: float
    base_mib: float


def in_fresh_process(case: Case) -> Measurement:
    """Measure a case in a process of its own, whose peak of memory is that of the case.

    Raises:
        SystemExit: the process failed, for want of memory, say.
    """
    command = [sys.executable, "-m", "benchmarks.steps", json.dumps(asdict(case))]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{case} failed with status {done.returncode}: {done.stderr}")
    return Measurement(**json.loads(done.stdout))


def measure(case: Case) -> Measurement:
    """Measure a case here."""
    torch.set_num_threads(1)
    keep_freed_memory()
    config = EquiformerConfig(
        **SIZES[case.size], **VARIANTS[case.variant], activation_checkpointing=case.checkpointing
    )
    references = dict.fromkeys(ELEMENTS, 0.0)
    statistics = Statistics(
        elements=ELEMENTS, atomic_energies=references, force_scale=1.0, average_neighbors=15.58
    )
    model = build_model(config, statistics)
    inputs, edges = inputs_of(structures(case), config, references)
    base = peak_mib()
    call = (
        partial(step, model, inputs)
        if case.task == "step"
        else partial(evaluate, model.eval(), inputs)
    )
    ms = median_ms(call, case.repeats)
    return Measurement(len(inputs.species), edges, ms, peak_mib(), base)


def structures(case: Case) -> list[Atoms]:
    """The batch."""
    if case.system == "aspirin":
        return rattled_aspirins(case.copies)
    if case.system == "strands":
        return [strands(seed) for seed in range(case.copies)]
    if case.system in CHAINS:
        return [chain(CHAINS[case.system], seed) for seed in range(case.copies)]
    return [solid(SOLIDS[case.system], seed) for seed in range(case.copies)]


def inputs_of(
    batch: list[Atoms], config: EquiformerConfig, references: dict[str, float]
) -> tuple[ModelInputs, int]:
    """A batch as the model takes it, and its number of edges."""
    card = ModelCard(
        name="random",
        version=1,
        description="",
        architecture="equiformer",
        backend="onnx",
        elements=ELEMENTS,
        atomic_energies=references,
        cutoff=config.cutoff,
        receptive_field=config.receptive_field,
        dtype="float32",
        parameters=1,
        created="",
    )
    graph = build_graphs([from_ase(atoms) for atoms in batch], config.cutoff)
    return model_inputs(graph, card, torch.float32), int(graph.n_edges.sum())


def step(model: nn.Module, inputs: ModelInputs) -> Tensor:
    """The gradient of a loss of energies and forces by the parameters, as in training; no
    optimiser.
    """
    energies, forces, _ = evaluate(model, inputs, create_graph=True)
    loss = energies.abs().mean() + torch.linalg.vector_norm(forces, dim=1).mean()
    loss.backward()
    model.zero_grad(set_to_none=True)
    return loss.detach()


def peak_mib() -> float:
    """The most memory that this process has held so far; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Case(**json.loads(sys.argv[1]))))))
