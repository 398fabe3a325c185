"""What `md` is asked for."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.errors import StructureTooLarge
from app.relax import RelaxOptions
from app.tasks.kind import TaskLimits, TaskOptions

Rows = list[list[float]]


def _several(value: object) -> object:
    """A list, where one number stands for it."""
    return [value] if isinstance(value, int | float | str) else value


class MdBarostat(BaseModel):
    """What moves the size of a cell, between two steps."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    momentum_eV_fs: float = Field(description="eV fs, of the logarithm of its lengths")
    force_eV: float | None = Field(default=None, description="eV, on that; found where not stated")


class MdState(BaseModel):
    """Where a replica is between two steps: all that its next ones depend on."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    random_seed: int = Field(ge=0, lt=2**63, description="of its random numbers")
    replica: int = Field(ge=0, lt=2**31, description="number of the replica, from 0")
    temperature_K: float = Field(ge=0, le=100_000, description="K, of the heat bath")
    step: int = Field(ge=0, lt=2**53, description="steps since its first beginning")
    time_fs: float = Field(ge=0, description="fs since then")
    numbers: list[int] = Field(description="(N) atomic numbers")
    charge: int = Field(description="total charge, elementary charges")
    cell_A: Rows | None = Field(default=None, description="(3, 3) Å; none where nothing repeats")
    positions_A: Rows = Field(description="(N, 3) Å, not wrapped into the cell")
    velocities_A_per_fs: Rows = Field(description="(N, 3) Å/fs")
    barostat: MdBarostat | None = Field(default=None, description="of `npt`")


class MdOptions(TaskOptions):
    """Let structures move by the model's forces, at a temperature or with their energy kept."""

    fmax_eV_per_A: float = Field(
        default=0.05,
        gt=0,
        allow_inf_nan=False,
        description="eV/Å, of the relaxation before, where there is one (max_steps)",
    )
    max_steps: int = Field(
        default=0,
        ge=0,
        description="most optimiser steps before the dynamics, which begin wherever they end; 0: with "
        "the structure as it is",
    )
    ensemble: Literal["nvt", "nve", "npt"] = Field(
        default="nvt",
        description="`nvt`: Langevin dynamics (BAOAB); `nve`: the energy is kept (velocity Verlet); `npt`: as "
        "`nvt`, and the cell changes its size under a pressure",
    )
    temperatures_K: Annotated[
        tuple[Annotated[float, Field(ge=0, le=100_000)], ...],
        BeforeValidator(_several),
        Field(min_length=1, max_length=64, strict=False),
    ] = Field(
        default=(300.0,),
        description="K, of the heat bath and of the velocities at the beginning; each has replicas of "
        "its own",
    )
    replicas: int = Field(default=1, ge=1, le=256, description="at each temperature")
    timestep_fs: float = Field(default=0.5, gt=0, le=20, description="fs")
    steps: int = Field(default=2000, ge=1, description="of each replica")
    friction_per_ps: float = Field(
        default=1.0,
        gt=0,
        le=10_000,
        description="ps⁻¹, of `nvt` and `npt`: how fast heat is exchanged",
    )
    pressure_GPa: float = Field(default=0.0, ge=-1000, le=1000, description="GPa, of `npt`")
    barostat_ps: float = Field(
        default=1.0,
        ge=0.01,
        le=1000,
        description="ps, of `npt`: in which the cell forgets how it moved",
    )
    random_seed: int = Field(
        default=1, ge=0, lt=2**63, description="of the random numbers; the same, the same numbers"
    )
    save_every: int = Field(default=20, ge=1, description="steps between two frames that are told")
    trajectory: Literal["extxyz", "arrays", "none"] = Field(
        default="extxyz", description="how the frames are told"
    )
    velocities: bool = Field(default=False, description="whether velocities of frames are told")
    bonds: Literal["stop", "ignore"] = Field(
        default="stop",
        description="whether a replica ends where a bond between H, B, C, N, O, F, P, S, Cl, Br or I "
        "breaks that it had at the beginning",
    )
    max_temperature_K: float = Field(
        default=10_000.0,
        gt=0,
        allow_inf_nan=False,
        description="K, of the moving atoms at any step; a replica beyond it has exploded",
    )
    restart: Annotated[
        tuple[MdState, ...] | None, Field(min_length=1, max_length=256, strict=False)
    ] = Field(
        default=None,
        description="states, as `last` of an earlier answer has them, that go on; of the same atoms",
    )

    @model_validator(mode="after")
    def _is_of_the_ensemble(self) -> Self:
        for name in ("pressure_GPa", "barostat_ps"):
            if self.ensemble != "npt" and name in self.model_fields_set:
                raise ValueError(f"{name}: is of npt, and ensemble {self.ensemble} is asked for")
        if self.ensemble == "nve" and "friction_per_ps" in self.model_fields_set:
            raise ValueError("friction_per_ps: is of nvt and npt, and ensemble nve is asked for")
        if self.trajectory == "none" and self.velocities:
            raise ValueError("velocities: are of the trajectory, and trajectory none is asked for")
        return self

    @model_validator(mode="after")
    def _begins_once(self) -> Self:
        if len({*self.temperatures_K}) < len(self.temperatures_K):
            raise ValueError(
                "temperatures_K: one is there twice, and its replicas would move alike; state more replicas"
            )
        if self.restart is None:
            return self
        for name in ("replicas", "random_seed"):
            if name in self.model_fields_set:
                raise ValueError(f"{name}: is that of each state of restart; leave it out")
        if self.max_steps:
            raise ValueError("max_steps: states of restart are not relaxed; leave it out")
        if "temperatures_K" in self.model_fields_set and len(self.temperatures_K) > 1:
            raise ValueError("temperatures_K: state one for all that restart, or none")
        for number, state in enumerate(self.restart):
            if (first := self.restart.index(state)) < number:
                raise ValueError(
                    f"restart.{number}: is restart.{first} again; both would move alike, leave one out"
                )
        return self

    @property
    def count(self) -> int:
        """How many replicas there are of a structure."""
        if self.restart is not None:
            return len(self.restart)
        return len(self.temperatures_K) * self.replicas

    @property
    def of_one(self) -> str | None:
        """See `TaskOptions`."""
        return None if self.restart is None else "restart"

    def bounded(self, limits: TaskLimits) -> Self:
        """See `TaskOptions`."""
        self.check_evaluations(limits.md_evaluations)
        return super().bounded(limits)

    def check_evaluations(self, most: int) -> None:
        """Whether dynamics may take so many.

        Raises:
            StructureTooLarge: they may not.
        """
        evaluations = self.count * (self.steps + 1)
        if evaluations > most:
            raise StructureTooLarge(
                f"steps: {self.count} replicas of {self.steps} steps take {evaluations} evaluations; at "
                f"most {most} are allowed (max_md_evaluations); ask for fewer, and go on from the last "
                "states (restart)"
            )

    @property
    def relaxation(self) -> RelaxOptions:
        """What is done before."""
        return RelaxOptions(fmax=self.fmax_eV_per_A, steps=self.max_steps)
