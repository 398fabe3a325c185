"""Fine-tuning: a run that begins with the weights of a trained model, maybe with further elements."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import filter as matching
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor, nn

from app.errors import InvalidConfig, TrainingError
from app.store.card import Origin, member_files
from app.store.store import ModelStore, StoredModel
from app.training.data.load import Frames
from app.training.data.references import element_energies
from app.training.models import ModelConfig, Statistics, build_model
from app.training.models.layers import SpeciesAxes
from app.training.runs import checkpoint
from app.training.runs.config import StartConfig, TrainConfig
from app.training.runs.config_file import differences, parse_config
from app.training.runs.folder import RunFolder, is_run
from app.training.runs.trained import TrainedRun

DEFAULT_STORE = ModelStore(Path("model_store"))


@dataclass(frozen=True)
class Base:
    """A trained model to go on from.

    Attributes:
        origin: what it is called.
        model: architecture and hyperparameters.
        statistics: elements, reference energies and scales.
        weights: of each member.
    """

    origin: Origin
    model: ModelConfig
    statistics: Statistics
    weights: list[dict[str, Tensor]]

    def check(self, config: TrainConfig) -> None:
        """Make sure that a run of this config can begin with these weights.

        Raises:
            InvalidConfig: another architecture or hyperparameter, or patterns that freeze nothing
                or everything.
        """
        found = differences(
            self.model.model_dump(mode="json"), config.model.model_dump(mode="json"), "model."
        )
        if found:
            listed = "; ".join(
                f"{key} is {now!r}, but {was!r} there" for key, (was, now) in found.items()
            )
            raise InvalidConfig(
                f"the model is not that of {self.origin.reference}: {listed}; leave these keys out"
            )
        assert config.start is not None
        freeze(build_model(self.model, self.statistics), config.start.freeze)


def load_base(start: StartConfig, store: ModelStore) -> Base:
    """Read the model that a run starts from.

    Args:
        start: names a model of the store, the folder of a run or of a committee, or a checkpoint.
        store: the model store.

    Raises:
        UnknownModel: no such model, folder or file.
        TrainingError: a model without weights, a run without, or a checkpoint of another format.
    """
    path = Path(start.model)
    if path.is_file():
        return _from_checkpoint(path)
    if is_run(path):
        run = TrainedRun(path)
        origin = Origin(name=path.resolve().name, digest=_digest(run.weight_files))
        return Base(origin, run.config.model, run.statistics, run.weights)
    return _from_store(store.load(start.model))


def start_of(config: TrainConfig, store: ModelStore) -> Base | None:
    """The model that a run of this config starts from, if it does, and whether it can.

    Raises:
        InvalidConfig: the config does not go with it; see `Base.check`.
        TrainingError, UnknownModel: as for `load_base`.
    """
    if config.start is None:
        return None
    base = load_base(config.start, store)
    base.check(config)
    return base


def _from_checkpoint(path: Path) -> Base:
    """The moving average of the weights, which is what would be evaluated."""
    state = checkpoint.load(path)
    model = parse_config(state["config"], f"the config of {path}").model
    statistics = RunFolder(path.parent).saved_statistics()
    names = [name for name, _ in build_model(model, statistics).named_parameters()]
    weights = state["model"] | dict(zip(names, state["average"], strict=True))
    return Base(
        Origin(name=path.resolve().parent.name, digest=_digest([path])),
        model,
        statistics,
        [weights],
    )


def _from_store(stored: StoredModel) -> Base:
    card, folder = stored.card, RunFolder(stored.folder)
    origin = Origin(name=card.name, version=card.version, digest=stored.digest)
    files = member_files(folder.weights.name, card.members)
    if not {folder.config.name, folder.statistics.name, *files} <= card.files.keys():
        raise TrainingError(
            f"start.model: {origin.reference} has no weights to start from; its backend is '{card.backend}', "
            f"and it holds {', '.join(card.files) or 'no files'}"
        )
    content = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
    model = parse_config(content, str(folder.config)).model
    return Base(
        origin,
        model,
        folder.saved_statistics(),
        [load_file(stored.folder / file) for file in files],
    )


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def with_model(content: Mapping[str, Any], begun: Path | None, store: ModelStore) -> dict[str, Any]:
    """A config's content with the keys of `model` that it leaves out, which are those of the model
    it starts from.

    Args:
        content: as written; without a section `start` it comes back as it is.
        begun: config of the run to go on with, for which the start model need not be there any
            more.
        store: the model store.

    Raises:
        InvalidConfig: another architecture.
        UnknownModel: no such model, folder or file.
        TrainingError: a model without weights, or a checkpoint of another format.
    """
    start, given = content.get("start"), content.get("model") or {}
    if (
        not isinstance(start, Mapping)
        or not isinstance(start.get("model"), str)
        or not isinstance(given, Mapping)
    ):
        return dict(content)
    if begun is not None:
        known = yaml.safe_load(begun.read_text(encoding="utf-8"))["model"]
    else:
        known = load_base(StartConfig(model=start["model"]), store).model.model_dump(mode="json")
    architecture = given.get("architecture", known["architecture"])
    if architecture != known["architecture"]:
        raise InvalidConfig(
            f"model.architecture is {architecture!r}, but start.model {start['model']} is {known['architecture']!r}"
        )
    return {**content, "model": {**known, **given}}


def grown_statistics(base: Base, config: TrainConfig, frames: Frames) -> Statistics:
    """The base's statistics with the elements that the data has besides, and their reference
    energies.

    The scale of the forces and the number of neighbours are part of the function, and stay.

    Raises:
        InvalidConfig: an element that neither has, or parameters frozen that would have to learn
            new elements.
    """
    assert config.start is not None
    old, present = base.statistics, frames.elements()
    new = [symbol for symbol in config.data.elements or present if symbol not in old.elements]
    without = [symbol for symbol in new if symbol not in present]
    if without:
        raise InvalidConfig(
            f"data.elements: {', '.join(without)} is neither in {base.origin.reference} nor in the training frames"
        )
    elements = (*old.elements, *new)
    statistics = old.model_copy(update={"elements": elements})
    if new:
        _check_free(build_model(base.model, statistics), config.start.freeze, new)
    keep = config.start.references == "keep"
    fixed = {s: e for s, e in old.atomic_energies.items() if keep or s not in present}
    energies = element_energies(frames.train, elements, config.references, fixed)
    return statistics.model_copy(update={"atomic_energies": energies})


def _check_free(model: nn.Module, patterns: Sequence[str], new: Sequence[str]) -> None:
    freeze(model, patterns)
    stuck = [name for name in species_axes(model) if not model.get_parameter(name).requires_grad]
    if stuck:
        raise InvalidConfig(
            f"start.freeze: {', '.join(stuck)} would never learn the new elements {', '.join(new)}; "
            "leave these parameters out"
        )


def initial_model(
    config: TrainConfig, statistics: Statistics, weights: Mapping[str, Tensor] | None = None
) -> nn.Module:
    """The model that a run begins with.

    Args:
        config: of the run.
        statistics: of the run.
        weights: those to start from; random ones by default.
    """
    model = build_model(config.model, statistics, getattr(torch, config.dtype), config.seed)
    if weights is not None:
        take_weights(model, weights)
    if config.start is not None:
        freeze(model, config.start.freeze)
    return model


@torch.no_grad()
def take_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a model the weights of one that knows the first of its elements; those of the others
    stay as they are.

    Args:
        model: its `species_axes` names the axes along which parameters have an entry for each
            element.
        weights: by name.

    Raises:
        TrainingError: weights of another model.
    """
    state, grow = model.state_dict(), species_axes(model)
    for name, value in weights.items():
        axes = grow.get(name, ())
        own = state.pop(name, torch.empty(0))
        place = tuple(
            slice(size) if axis in axes else slice(None) for axis, size in enumerate(value.shape)
        )
        if own.ndim != value.ndim or own[place].shape != value.shape:
            raise TrainingError(
                f"the weights to start from are of another model: {name} has shape {[*value.shape]}"
            )
        own[place] = value.to(own.dtype)
    if state:
        raise TrainingError(
            f"the weights to start from are of another model: {', '.join(state)} is missing"
        )


def species_axes(model: nn.Module) -> SpeciesAxes:
    """What an architecture says of its parameters that have an entry for each element."""
    return cast(SpeciesAxes, model.species_axes)


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Take parameters out of training.

    Args:
        model: changed in place.
        patterns: of their names, as for files: `embedding.*`.

    Raises:
        InvalidConfig: a pattern that matches nothing, or nothing left to train.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        matched = matching(names, pattern)
        if not matched:
            raise InvalidConfig(
                f"start.freeze: '{pattern}' matches no parameter; there are: {', '.join(names)}"
            )
        for name in matched:
            model.get_parameter(name).requires_grad_(False)
    if not any(p.requires_grad for p in model.parameters()):
        raise InvalidConfig("start.freeze: every parameter is frozen; nothing would be learnt")
