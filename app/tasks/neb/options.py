"""What `neb` is asked for."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from app.errors import StructureTooLarge
from app.tasks.kind import TaskLimits, TaskOptions

Rows = list[list[float]]


class EndPoint(BaseModel):
    """Where a path ends: the atoms of the structure, in their order, at other places."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    symbols: list[str] = Field(description="(N), those of the structure, in their order")
    positions: Rows = Field(description="(N, 3) Å")
    cell: Rows | None = Field(
        default=None, description="(3, 3) Å; that of the structure, where stated"
    )
    pbc: list[bool] | None = Field(default=None, description="(3), the same")
    charge: int | None = Field(default=None, description="the same")
    multiplicity: int | None = Field(default=None, description="the same")
    fixed: list[int] | None = Field(
        default=None, description="numbers of fixed atoms; those of the structure, where stated"
    )


class NebOptions(TaskOptions):
    """Relax a structure and others of the same atoms, and find the way of least energy between them."""

    fmax_eV_per_A: float = Field(
        default=0.01,
        gt=0,
        allow_inf_nan=False,
        description="eV/Å; ends are at rest when no force is longer",
    )
    ends: Annotated[tuple[EndPoint, ...], Field(min_length=1, max_length=32, strict=False)] = Field(
        description="where paths end, one for each; of the same atoms in the same order"
    )
    images: int = Field(default=7, ge=1, le=63, description="of a path, between its ends")
    path_fmax_eV_per_A: float = Field(
        default=0.05,
        gt=0,
        allow_inf_nan=False,
        description="eV/Å; a path is converged when no force across it, and none on the image that "
        "climbs, is longer",
    )
    path_steps: int = Field(default=300, ge=0, description="most steps of a path")
    climb: bool = Field(
        default=True, description="whether the highest image climbs to the saddle point"
    )
    spring_eV_per_A2: float = Field(
        default=0.1, gt=0, le=100, description="eV/Å², between images that follow each other"
    )

    def bounded(self, limits: TaskLimits) -> Self:
        """See `TaskOptions`."""
        self.steps_within(limits.evaluations)
        return super().bounded(limits)

    def steps_within(self, most: int) -> int:
        """Most steps of each path, within the evaluations of one structure.

        Raises:
            StructureTooLarge: more are stated.
        """
        each = self.images * len(self.ends)
        fitting = most // each - 1
        if fitting < 0 or (fitting < self.path_steps and "path_steps" in self.model_fields_set):
            raise StructureTooLarge(
                f"path_steps: {len(self.ends)} paths of {self.images} images take "
                f"{each * (self.path_steps + 1)} evaluations in {self.path_steps} steps; at most {most} "
                "are allowed (max_task_evaluations)"
            )
        return min(self.path_steps, fitting)
