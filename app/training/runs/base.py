"""The model that a run starts from: one of the store, the best of another run, or a checkpoint."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from safetensors.torch import load_file
from torch import Tensor

from app.errors import InvalidConfig, TrainingError
from app.store.card import Origin, member_files
from app.store.store import ModelStore, StoredModel
from app.training.models import ModelConfig, Statistics, build_model
from app.training.models.freezing import freeze
from app.training.models.widening import can_widen, widened
from app.training.runs import checkpoint
from app.training.runs.config import Architecture, StartConfig, TrainConfig
from app.training.runs.config_file import differences, parse, parse_config
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
            InvalidConfig: another architecture or hyperparameter, but for widths that are to be
                enlarged, or patterns that freeze nothing or everything.
        """
        assert config.start is not None
        changed = differences(
            self.model.model_dump(mode="json"), config.model.model_dump(mode="json"), "model."
        )
        if config.start.widen:
            changed = {
                key: values
                for key, values in changed.items()
                if not can_widen(self.model, config.model, key.removeprefix("model."))
            }
        if changed:
            listed = "; ".join(
                f"{key} is {now!r}, but {was!r} there" for key, (was, now) in changed.items()
            )
            raise InvalidConfig(
                f"the model is not that of {self.origin.reference}: {listed}; leave these keys out"
                f"{self._widths(config.start)}"
            )
        freeze(build_model(self.model, self.statistics), config.start.freeze)

    def widened(self, config: TrainConfig) -> "Base":
        """The same function as a model of this config's widths; see `widening`."""
        model = build_model(config.model, self.statistics, seed=config.seed)
        weights = [widened(model, weights) for weights in self.weights]
        return replace(self, model=config.model, weights=weights)

    def _widths(self, start: StartConfig) -> str:
        """What an error says of the keys that could be larger."""
        if not self.model.widths:
            return ""
        larger = f"{', '.join(self.model.widths)} may be larger"
        return f" ({larger})" if start.widen else f" ({larger} with start.widen: true)"


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
    return base.widened(config) if config.start.widen else base


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
    model = parse(Architecture, {"model": content.get("model")}, str(folder.config)).model
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
