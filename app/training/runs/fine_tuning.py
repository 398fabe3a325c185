"""Fine-tuning: what a run takes from the model that it starts from, maybe with further elements."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from app.errors import InvalidConfig
from app.store.store import ModelStore
from app.training.data.load import Frames
from app.training.data.references import charge_energies, element_energies, lone_ions
from app.training.models import Statistics, build_model
from app.training.models.freezing import freeze
from app.training.models.network import Network
from app.training.models.transfer import take_weights
from app.training.runs.base import Base, load_base
from app.training.runs.config import StartConfig, TrainConfig


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
    of_charges = charge_energies(frames.train, energies)
    return statistics.model_copy(
        update={
            "atomic_energies": energies,
            "lone_ions": {**old.lone_ions, **lone_ions(frames.train)},
            "charge_energies": {**of_charges, **(old.charge_energies if keep else {})},
        }
    )


def _check_free(model: Network, patterns: Sequence[str], new: Sequence[str]) -> None:
    freeze(model, patterns)
    stuck = [name for name in model.species_axes if not model.get_parameter(name).requires_grad]
    if stuck:
        raise InvalidConfig(
            f"start.freeze: {', '.join(stuck)} would never learn the new elements {', '.join(new)}; "
            "leave these parameters out"
        )


def initial_model(
    config: TrainConfig, statistics: Statistics, weights: Mapping[str, Tensor] | None = None
) -> Network:
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
