"""TrainConfig: everything that decides what a training run does.

`app.training.runs.config_file` reads it from YAML.
"""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from app.training.data.config import Data, Section
from app.training.models import ModelConfig


class LossChange(Section):
    """Other weights of the loss from an epoch on."""

    epoch: float = Field(ge=0, description="epochs after which the weights begin to change")
    over: float = Field(0.0, ge=0, description="epochs over which they change linearly; 0: at once")
    energy: float | None = Field(None, ge=0)
    forces: float | None = Field(None, ge=0)
    stress: float | None = Field(None, ge=0)


class LossConfig(Section):
    """Weighted sum of the errors of energies (eV), forces (eV/Å) and stresses (eV/Å³)."""

    energy: float = Field(1.0, ge=0)
    forces: float = Field(1.0, ge=0)
    stress: float = Field(0.0, ge=0)
    changes: tuple[LossChange, ...] = Field((), description="of the weights, one after the other")
    forces_per: Literal["component", "vector"] = "vector"
    kind: Literal["mse", "mae", "huber"] = "mae"
    energy_per: Literal["atom", "structure"] = "atom"
    huber_delta: float = Field(
        0.01, gt=0, description="error at which huber turns from quadratic to linear"
    )

    @model_validator(mode="after")
    def _some_weight(self) -> "LossConfig":
        for loss in (self, *(self.at(change.epoch + change.over) for change in self.changes)):
            if loss.energy + loss.forces + loss.stress == 0:
                raise ValueError("all weights are zero; nothing would be learnt")
        return self

    @model_validator(mode="after")
    def _changes_in_order(self) -> "LossConfig":
        for first, second in pairwise(self.changes):
            if second.epoch < first.epoch + first.over:
                raise ValueError(
                    f"the change at epoch {second.epoch:g} begins before the one before it has ended"
                )
        return self

    def at(self, epoch: float) -> "LossConfig":
        """The loss with its weights after so many epochs; infinity gives those at the end."""
        weights = {"energy": self.energy, "forces": self.forces, "stress": self.stress}
        for change in self.changes:
            if epoch >= change.epoch:
                share = min((epoch - change.epoch) / change.over, 1.0) if change.over else 1.0
                for name, weight in weights.items():
                    target = getattr(change, name)
                    weights[name] = (
                        weight if target is None else (1 - share) * weight + share * target
                    )
        return self.model_copy(update=weights) if self.changes else self

    def largest(self, name: str) -> float:
        """The largest weight that a part of the loss (`energy`, `forces` or `stress`) ever has."""
        return float(
            max(
                getattr(self, name), *(getattr(change, name) or 0.0 for change in self.changes), 0.0
            )
        )


class OptimizerConfig(Section):
    """Adam, AdamW, or Muon for matrices and AdamW for the rest; decay acts on matrices, not on
    biases or scales.
    """

    name: Literal["adam", "adamw", "muon"] = "muon"
    lr: float = Field(0.005, gt=0)
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.999,
    )
    weight_decay: float = Field(0.0, ge=0)


class ScheduleConfig(Section):
    """Learning rate over the run, after a linear warm-up."""

    kind: Literal["constant", "cosine", "exponential", "plateau"] = "cosine"
    warmup_steps: int = Field(0, ge=0)
    final: float = Field(
        0.01, gt=0, le=1, description="factor reached at the last epoch; for plateau, the least"
    )
    factor: float = Field(0.8, gt=0, lt=1, description="plateau: what the rate is multiplied by")
    patience: int = Field(
        10, ge=1, description="plateau: evaluations without a better validation loss"
    )


class StartConfig(Section):
    """A trained model whose weights a run begins with."""

    model: str = Field(
        min_length=1,
        description="`name@version` of the store, the folder of a run, or a checkpoint",
    )
    freeze: tuple[str, ...] = Field(
        (), description="patterns of the names of parameters that stay as they are"
    )
    widen: bool = Field(
        False, description="`model` may have larger widths; the answers stay until the first step"
    )
    references: Literal["keep", "refit"] = Field(
        "keep", description="reference energies of the elements it knows"
    )


class Architecture(Section):
    """What is kept of the config of a model that was not trained here."""

    model: ModelConfig


class TrainConfig(Section):
    """One training run."""

    data: Data
    model: ModelConfig
    start: StartConfig | None = Field(
        None, description="by default, a run begins with random weights"
    )
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    references: Literal["least_squares", "isolated"] | dict[str, float] = Field(
        "least_squares", description="eV; reference energy of an atom of each element"
    )
    ema: float = Field(
        0.99, ge=0, lt=1, description="decay of the weights' moving average; 0 for none"
    )
    batch_size: int = Field(5, ge=1, description="structures a batch")
    max_atoms: int | None = Field(
        None, ge=1, description="atoms a batch, at most (a larger structure goes alone)"
    )
    max_edges: int | None = Field(
        None, ge=1, description="edges a batch, at most (a larger structure goes alone)"
    )
    edges_at_once: int | None = Field(
        None,
        ge=1,
        description="edges computed at once, at most; larger batches are computed in pieces",
    )
    bucket: int = Field(
        8,
        ge=1,
        description="batches' worth of frames sorted by neighbours, against padding; 1: none",
    )
    epochs: int = Field(100, ge=1)
    max_minutes: float | None = Field(None, gt=0, description="wall time after which training ends")
    patience: int | None = Field(
        None, ge=1, description="evaluations without a better validation loss, then stop"
    )
    clip: float | None = Field(10.0, gt=0, description="largest norm of the gradient")
    evaluate_steps: int | None = Field(
        None, ge=1, description="by default at the end of each epoch"
    )
    checkpoint_steps: int | None = Field(
        None, ge=1, description="besides those after each evaluation"
    )
    checkpoint_minutes: float = Field(10.0, gt=0, description="longest time between checkpoints")
    tensorboard: bool = Field(False, description="write the metrics for TensorBoard, too")
    dtype: Literal["float32", "float64"] = "float32"
    precision: Literal["full", "tf32", "bfloat16"] = Field(
        "full", description="of matrix products in training steps"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    step: Literal["eager", "kernel"] = Field(
        "eager", description="what gives the gradients: automatic differentiation or the kernel"
    )
    threads: int | None = Field(
        None, ge=1, description="CPU threads; by default what torch chooses"
    )
    seed: int = Field(0, ge=0)
    deterministic: bool = Field(
        True, description="same numbers from the same seed, at some cost on CUDA"
    )

    @model_validator(mode="after")
    def _references_once(self) -> "TrainConfig":
        if (
            self.start is not None
            and self.start.references == "keep"
            and not isinstance(self.references, str)
        ):
            raise ValueError(
                "references are given, but start.references keeps those of the start model; set it to refit"
            )
        return self

    @field_validator("step")
    @classmethod
    def _kernel_can_step(cls, step: str, info: ValidationInfo) -> str:
        """The kernel evaluates Allegro in float32 on the CPU."""
        data, needed = info.data, {"dtype": "float32", "precision": "full", "device": "cpu"}
        found = {name: data.get(name) for name in needed}
        if found["device"] == "auto":
            found["device"] = "cpu"
        if "model" in data:
            found["model.architecture"] = data["model"].architecture
            needed["model.architecture"] = "allegro"
        for name, value in found.items():
            if step == "kernel" and value not in (needed[name], None):
                raise ValueError(
                    f"it is for {name} '{needed[name]}', and that is '{value}'; use step 'eager'"
                )
        return step

    @field_validator("precision")
    @classmethod
    def _is_less_than_dtype(cls, precision: str, info: ValidationInfo) -> str:
        if precision != "full" and info.data.get("dtype") == "float64":
            raise ValueError("it is for dtype float32; float64 has 'full' only")
        return precision
