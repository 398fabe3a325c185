"""What a published model, or a training run's best weights, says about labelled frames."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from app.atoms.neighbors import build_graphs
from app.atoms.uncertainty import energies_spread, forces_spread
from app.backends import Backend, load_backend
from app.backends.device import BackendChoice, Device
from app.errors import InputError, InvalidConfig, InvalidData
from app.store.card import ModelCard
from app.store.location import Place, open_store
from app.training.data.batches import BatchSize, Collator
from app.training.data.dataset import build_dataset
from app.training.data.frames import LabelledFrame
from app.training.data.load import check_elements
from app.training.evaluation.errors import Values, predict_frames
from app.training.evaluation.served import service_predictor
from app.training.models.network import Network
from app.training.runs.folder import is_run
from app.training.runs.trained import TrainedRun

Predictor = Callable[[Sequence[LabelledFrame]], Values]


def open_predictor(
    model: str,
    store: Place,
    device: str = "cpu",
    threads: int = 0,
    batch_size: int = 32,
    backend: BackendChoice = "auto",
    server: str | None = None,
) -> Predictor:
    """A function from frames to predictions.

    Args:
        model: folder of a run or of a committee, or a reference into the store.
        store: folder or URL of the models.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: numerics threads; 0 takes all cores.
        batch_size: structures evaluated together.
        backend: what runs a model of the store.
        server: URL of a running service, which is asked for the model instead.

    Raises:
        UnknownModel: no such model or run.
    """
    if batch_size < 1:
        raise InvalidConfig(f"--batch-size {batch_size}: at least 1")
    if server is not None:
        return service_predictor(server, model, batch_size)
    if is_run(Path(model)):
        return run_predictor(TrainedRun(Path(model)), device, threads, batch_size)
    opened = load_backend(
        open_store(store).load(model), threads=threads, device=device, backend=backend
    )
    return backend_predictor(opened, batch_size)


def run_predictor(run: TrainedRun, device: str, threads: int, batch_size: int) -> Predictor:
    """Predictions of the best weights of a run or a committee, in the precision in which it was
    trained.
    """
    if Device.of(device).is_cuda and not torch.cuda.is_available():
        raise InvalidConfig(
            f"--device {device}: there is no CUDA device, or torch was built without CUDA"
        )
    if threads:
        torch.set_num_threads(threads)
    target = torch.device(device)
    models = [model.to(target) for model in run.models(getattr(torch, run.config.dtype))]

    def predict(frames: Sequence[LabelledFrame]) -> Values:
        check_elements(frames, run.statistics.elements, "the model")
        dataset = build_dataset(frames, run.config.model.cutoff, run.config.dtype)
        return predict_committee(
            models, Collator(dataset, run.statistics), BatchSize(batch_size), target
        )

    return predict


def predict_committee(
    models: Sequence[Network], collator: Collator, size: BatchSize, device: torch.device
) -> Values:
    """The mean of what M >= 1 models say about all frames of a data set; of more than one, with its
    uncertainty.
    """
    members = [predict_frames(model, collator, size, device) for model in models]
    if len(members) == 1:
        return members[0]
    energy, forces, stress = (
        np.stack([getattr(v, name) for v in members]) for name in ("energy", "forces", "stress")
    )
    means = {
        "energy": energy.mean(axis=0),
        "forces": forces.mean(axis=0),
        "stress": stress.mean(axis=0),
    }
    return Values(**means, energy_std=energies_spread(energy), forces_std=forces_spread(forces))


def backend_predictor(backend: Backend, batch_size: int) -> Predictor:
    """Predictions of a published model."""

    def predict(frames: Sequence[LabelledFrame]) -> Values:
        _check(frames, backend.card)
        parts = []
        for start in range(0, len(frames), batch_size):
            structures = [frame.structure for frame in frames[start : start + batch_size]]
            parts.append(backend(build_graphs(structures, backend.card.cutoff)))
        columns = {
            field.name: [getattr(part, field.name) for part in parts] for field in fields(Values)
        }
        return Values(
            **{name: np.concatenate(c) for name, c in columns.items() if c[0] is not None}
        )

    return predict


def _check(frames: Sequence[LabelledFrame], card: ModelCard) -> None:
    for frame in frames:
        try:
            card.check(frame.structure)
        except InputError as error:
            raise InvalidData(f"{frame.origin}: {error}") from error
