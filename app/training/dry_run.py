"""What a run would do: its model, data, batches and memory, without a step of training."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from app.atoms.structure import Integers
from app.store.store import ModelStore
from app.training.data.batches import BatchSize, Collator, batches, epoch_batches
from app.training.data.dataset import Dataset
from app.training.data.load import Finder
from app.training.data.references import force_square
from app.training.evaluation.forward import predict
from app.training.loop.problem import Problem, load_problem
from app.training.models.network import Network
from app.training.runs.base import DEFAULT_STORE, Base, start_of
from app.training.runs.config import TrainConfig
from app.training.runs.fine_tuning import initial_model

COPIES = 6
"""Of each parameter: weights, gradient, two moments of Adam, moving average and the best weights.
"""
TEMPORARY = 0.5
"""Memory of a step beside the tensors that it keeps, as a share of those."""
SAMPLE = 2
"""Frames of the largest batch on which a step's memory is measured."""
MIB = 2**20


def describe_run(config: TrainConfig, find: Finder, store: ModelStore = DEFAULT_STORE) -> str:
    """A summary of what a run would do, for people; nothing is written.

    Args:
        config: of the run.
        find: from the config's paths to files.
        store: where the model may be that the run starts from.

    Raises:
        InvalidData: naming file and frame.
        TrainingError, StoreError: the model to start from cannot be used.
    """
    base = start_of(config, store)
    problem = load_problem(config, find, base)
    frames, dataset = problem.frames, problem.train.dataset
    model = initial_model(config, problem.statistics, None if base is None else base.weights[0])
    parameters = sum(p.numel() for p in model.parameters())
    size = BatchSize(config.batch_size, config.max_atoms, config.max_edges)
    cut = epoch_batches(dataset, size, config.seed, 0, config.bucket)
    sets = {"train": frames.train, "validation": frames.validation, "test": frames.test}
    lines = [f"model: {config.model.architecture}, {parameters} parameters, {config.dtype}"]
    lines += [] if base is None else [describe_start(base, model, problem.statistics.elements)]
    lines += [describe_frames(name, part) for name, part in sets.items() if part]
    lines += [
        f"neighbours: {dataset.average_neighbors:.1f} an atom on average, {dataset.width.max()} at most, "
        f"within {config.model.cutoff:g} Å",
        describe_references(problem),
        f"batches: {len(cut)} an epoch, {len(cut) * config.epochs} steps in {config.epochs} epochs; "
        f"{np.mean([len(b) for b in cut]):.1f} frames and {dataset.n_atoms.sum() / len(cut):.0f} atoms on average",
        describe_memory(config, problem, model, max(cut, key=lambda b: slots(dataset, b))),
    ]
    return "\n".join(lines)


def describe_start(base: Base, model: Network, elements: Sequence[str]) -> str:
    """Where the run starts, and what of it is trained."""
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    new = elements[len(base.statistics.elements) :]
    return (
        f"start: {base.origin.reference} (digest {base.origin.digest[:12]}); {trained} parameters trained, "
        f"{frozen} frozen; new elements: {', '.join(new) or 'none'}"
    )


def describe_frames(name: str, frames: Dataset) -> str:
    """Frames, atoms, elements, sources and root mean square force of a set."""
    elements = ", ".join(f"{symbol} {count}" for symbol, count in frames.element_counts().items())
    counts = np.bincount(frames.arrays.source[frames.rows], minlength=len(frames.sources))
    sources = ", ".join(
        f"{n} of {source.file}" for n, source in zip(counts, frames.sources, strict=True) if n
    )
    square, sizes = force_square(frames), frames.n_atoms
    rms = "unknown" if square is None else f"{square**0.5:.4g} eV/Å"
    return (
        f"{name}: {len(frames)} frames ({sources}); {sizes.sum()} atoms, {sizes.min()} to {sizes.max()} a frame "
        f"({elements}); force RMS {rms}; {frames.has_forces.sum()} with forces, {frames.has_stress.sum()} with stress"
    )


def describe_references(problem: Problem) -> str:
    """Reference energies, and what they leave to be learnt."""
    energies = problem.statistics.atomic_energies
    rest = problem.train.energy / problem.train.dataset.n_atoms
    listed = ", ".join(f"{symbol} {energy:.6g}" for symbol, energy in energies.items())
    return f"reference energies: {listed} eV; they leave {1e3 * rest.std():.4g} meV/atom (standard deviation)"


def describe_memory(
    config: TrainConfig, problem: Problem, model: Network, largest: Integers
) -> str:
    """An estimate of the memory of a run, beside that of the program and its libraries (some 500
    MiB); `largest` are the (B,) frames of the largest batch.
    """
    dataset, frames = problem.train.dataset, problem.frames
    pieces = batches(dataset, largest, BatchSize(len(largest), edges=config.edges_at_once))
    largest = max(pieces, key=lambda piece: slots(dataset, piece))
    what = "piece" if config.edges_at_once else "batch"
    sample = largest[np.argsort(slots_of(dataset, largest))[-SAMPLE:]]
    kept = kept_bytes(model, problem.train, sample, config.loss.largest("stress") > 0)
    step = (1 + TEMPORARY) * kept * slots(dataset, largest) / slots(dataset, sample)
    state = COPIES * sum(p.numel() * p.element_size() for p in model.parameters())
    data = sum(part.nbytes for part in (frames.train, frames.validation))
    return (
        f"memory: about {(step + state + data) / MIB:.0f} MiB, of which a step on the largest {what} "
        f"({len(largest)} frames, {dataset.n_atoms[largest].sum()} atoms, {dataset.n_edges[largest].sum()} edges) "
        f"{step / MIB:.0f}, weights and optimiser {state / MIB:.1f}, data {data / MIB:.1f}"
    )


def kept_bytes(model: Network, collator: Collator, indices: Integers, stress: bool) -> int:
    """Bytes of the tensors that a step on (B,) frames keeps for its backward pass, each storage
    counted once.
    """
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = predict(model, collator(indices), create_graph=True, stress=stress)
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    del outputs
    return sum(size for pointer, size in storages.items() if pointer not in parameters)


def slots_of(dataset: Dataset, indices: Integers) -> Integers:
    """(B,) slots of each frame were it alone: atoms times the largest number of neighbours."""
    return dataset.n_atoms[indices] * np.maximum(dataset.width[indices], 1)


def slots(dataset: Dataset, indices: Integers) -> int:
    """Edge slots of a batch of (B,) frames, padding included."""
    return int(dataset.n_atoms[indices].sum() * max(dataset.width[indices].max(), 1))
