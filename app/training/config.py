"""TrainConfig: everything that decides what a training run does. `app.training.config_file` reads it from YAML."""

import re
from itertools import pairwise
from typing import Annotated, Any, Literal

from ase.data import atomic_numbers
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.training import units
from app.training.models import ModelConfig


class Section(BaseModel):
    """A part of the config; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _one_of(quantity: str) -> AfterValidator:
    def check(unit: str) -> str:
        if unit not in units.TABLES[quantity]:
            raise ValueError(f"choose one of: {', '.join(units.TABLES[quantity])}")
        return unit

    return AfterValidator(check)


def _slice(text: str) -> str:
    if not re.fullmatch(r"(-?\d*):(-?\d*)(:-?[1-9]\d*|:)?", text):
        raise ValueError("write a slice such as ':', ':100', '-50:' or '::10'")
    return text


def _symbols(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for symbol in values or ():
        if atomic_numbers.get(symbol, 0) < 1:
            raise ValueError(f"'{symbol}' is no chemical symbol")
    if values is not None and len(set(values)) < len(values):
        raise ValueError("an element stands twice")
    return values


class Units(Section):
    """Units of the labels in a file. A file may not contradict them (`energy_unit`, `forces_unit`, …)."""

    energy: Annotated[str, _one_of("energy")] = "eV"
    length: Annotated[str, _one_of("length")] = "Å"
    force: Annotated[str, _one_of("force")] | None = Field(None, description="by default energy over length")
    stress: Annotated[str, _one_of("stress")] = "eV/Å³"

    @property
    def force_factor(self) -> float:
        """eV/Å in one unit of force."""
        if self.force is not None:
            return units.FORCE[self.force]
        return units.ENERGY[self.energy] / units.LENGTH[self.length]


class Keys(Section):
    """Names under which a file holds the labels; by default those of its format."""

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    numbers: str | None = Field(None, description="npz only")
    positions: str | None = Field(None, description="npz only")


class Source(Section):
    """A file, or a folder, of labelled frames."""

    path: str = Field(min_length=1, description="absolute, or relative to the data root or to the config file")
    format: Literal["auto", "extxyz", "ase", "npz", "deepmd", "qm9"] = Field(
        "auto", description="auto goes by the file's name"
    )
    index: Annotated[str, AfterValidator(_slice)] = Field(":", description="which frames, as a Python slice")
    units: Units | None = Field(None, description="must be stated for npz; elsewhere eV, Å and eV/Å³")
    keys: Keys = Keys()
    weight: float = Field(1.0, gt=0, description="how many times the errors of these frames count in the loss")
    missing_forces: bool = Field(False, description="frames may have no forces, and then teach energies only")

    leave_out: str | None = Field(None, description="qm9: file with numbers of molecules that are not to be used")

    @property
    def label_units(self) -> Units:
        """Units of the labels."""
        return self.units or Units(energy="Hartree" if self.kind == "qm9" else "eV")

    @property
    def lacks_forces(self) -> bool:
        """Whether frames may have no forces."""
        return self.missing_forces or self.kind == "qm9"

    @property
    def kind(self) -> str:
        """The format: `extxyz`, `ase`, `npz`, `deepmd` or `qm9`."""
        if self.format != "auto":
            return self.format
        ending = self.path.rsplit(".", 1)[-1].lower()
        return {"npz": "npz", "xyz": "extxyz", "extxyz": "extxyz"}.get(ending, "ase")

    @property
    def frames(self) -> slice:
        """The slice that `index` writes."""
        return slice(*(int(part) if part else None for part in self.index.split(":")))

    @model_validator(mode="after")
    def _npz_states_units(self) -> "Source":
        if self.kind == "npz" and self.units is None:
            raise ValueError("npz files carry no units; add units, for example {energy: kcal/mol, length: Å}")
        return self

    @model_validator(mode="after")
    def _format_has_these_keys(self) -> "Source":
        if self.kind == "deepmd" and self.keys != Keys():
            raise ValueError("deepmd folders have fixed names; leave keys out")
        if self.kind == "qm9" and self.units is not None:
            raise ValueError("QM9 is in Hartree and Å; leave units out")
        if self.kind == "qm9" and self.keys.energy not in (None, "U0", "U", "H", "G"):
            raise ValueError("keys.energy of QM9: choose one of U0, U, H, G")
        if self.kind != "qm9" and self.leave_out is not None:
            raise ValueError("leave_out is for the format qm9 only")
        return self


def _many(value: Any) -> Any:
    if value is None:
        return ()
    parts = value if isinstance(value, (list, tuple)) else [value]
    return tuple({"path": part} if isinstance(part, str) else part for part in parts)


Sources = Annotated[tuple[Source, ...], BeforeValidator(_many)]
Share = Annotated[int, Field(ge=0, strict=True)] | Annotated[float, Field(ge=0, lt=1, strict=True)]


class Split(Section):
    """How frames of `data.train` are set aside for sets that have no files of their own."""

    validation: Share = Field(0.1, description="a count of frames, or a fraction below 1")
    test: Share = Field(0, description="a count of frames, or a fraction below 1")
    seed: int = Field(0, ge=0)
    by: str | None = Field(None, description="info key; frames that share its value stay together")


class Data(Section):
    """Where labelled frames come from."""

    train: Annotated[Sources, Field(min_length=1)]
    validation: Sources = ()
    test: Sources = ()
    split: Split = Split()
    elements: Annotated[tuple[str, ...] | None, AfterValidator(_symbols)] = Field(
        None, min_length=1, description="those of the training frames by default; others are errors"
    )


class Change(Section):
    """Other weights of the loss from an epoch on."""

    epoch: float = Field(ge=0, description="epochs after which the weights begin to change")
    over: float = Field(0.0, ge=0, description="epochs over which they change linearly; 0: at once")
    energy: float | None = Field(None, ge=0)
    forces: float | None = Field(None, ge=0)
    stress: float | None = Field(None, ge=0)


class Loss(Section):
    """Weighted sum of the errors of energies (eV), forces (eV/Å) and stresses (eV/Å³)."""

    energy: float = Field(1.0, ge=0)
    forces: float = Field(1.0, ge=0)
    stress: float = Field(0.0, ge=0)
    changes: tuple[Change, ...] = Field((), description="of the weights, one after the other")
    forces_per: Literal["component", "vector"] = "component"
    kind: Literal["mse", "mae", "huber"] = "mse"
    energy_per: Literal["atom", "structure"] = "atom"
    huber_delta: float = Field(0.01, gt=0, description="error at which huber turns from quadratic to linear")

    @model_validator(mode="after")
    def _some_weight(self) -> "Loss":
        for loss in (self, *(self.at(change.epoch + change.over) for change in self.changes)):
            if loss.energy + loss.forces + loss.stress == 0:
                raise ValueError("all weights are zero; nothing would be learnt")
        return self

    @model_validator(mode="after")
    def _changes_in_order(self) -> "Loss":
        for first, second in pairwise(self.changes):
            if second.epoch < first.epoch + first.over:
                raise ValueError(f"the change at epoch {second.epoch:g} begins before the one before it has ended")
        return self

    def at(self, epoch: float) -> "Loss":
        """The loss with its weights after so many epochs; infinity gives those at the end."""
        weights = {"energy": self.energy, "forces": self.forces, "stress": self.stress}
        for change in self.changes:
            if epoch >= change.epoch:
                share = min((epoch - change.epoch) / change.over, 1.0) if change.over else 1.0
                for name, weight in weights.items():
                    target = getattr(change, name)
                    weights[name] = weight if target is None else (1 - share) * weight + share * target
        return self.model_copy(update=weights) if self.changes else self

    def largest(self, name: str) -> float:
        """The largest weight that a part of the loss (`energy`, `forces` or `stress`) ever has."""
        return float(max(getattr(self, name), *(getattr(change, name) or 0.0 for change in self.changes), 0.0))


class Optimizer(Section):
    """Adam, or AdamW with decay on matrices only (not on biases or scales)."""

    name: Literal["adam", "adamw"] = "adam"
    lr: float = Field(0.002, gt=0)
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0)


class Schedule(Section):
    """Learning rate over the run, after a linear warm-up."""

    kind: Literal["constant", "cosine", "exponential", "plateau"] = "cosine"
    warmup_steps: int = Field(0, ge=0)
    final: float = Field(0.01, gt=0, le=1, description="factor reached at the last epoch; for plateau, the least")
    factor: float = Field(0.8, gt=0, lt=1, description="plateau: what the rate is multiplied by")
    patience: int = Field(10, ge=1, description="plateau: evaluations without a better validation loss")


class TrainConfig(Section):
    """One training run."""

    data: Data
    model: ModelConfig
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    references: Literal["least_squares"] | dict[str, float] = Field(
        "least_squares", description="eV; reference energy of an atom of each element"
    )
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the weights' moving average; 0 for none")
    batch_size: int = Field(5, ge=1, description="structures a batch")
    max_atoms: int | None = Field(None, ge=1, description="atoms a batch, at most (a larger structure goes alone)")
    max_edges: int | None = Field(None, ge=1, description="edges a batch, at most (a larger structure goes alone)")
    bucket: int = Field(8, ge=1, description="batches' worth of frames sorted by neighbours, against padding; 1: none")
    epochs: int = Field(100, ge=1)
    max_minutes: float | None = Field(None, gt=0, description="wall time after which training ends")
    patience: int | None = Field(None, ge=1, description="evaluations without a better validation loss, then stop")
    clip: float | None = Field(10.0, gt=0, description="largest norm of the gradient")
    evaluate_steps: int | None = Field(None, ge=1, description="by default at the end of each epoch")
    checkpoint_steps: int | None = Field(None, ge=1, description="besides those after each evaluation")
    checkpoint_minutes: float = Field(10.0, gt=0, description="longest time between checkpoints")
    tensorboard: bool = Field(False, description="write the metrics for TensorBoard, too")
    dtype: Literal["float32", "float64"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(None, ge=1, description="CPU threads; by default what torch chooses")
    seed: int = Field(0, ge=0)
    deterministic: bool = Field(True, description="same numbers from the same seed, at some cost on CUDA")
