"""What `neb` is asked for."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.tasks.kind import TaskOptions

Rows = list[list[float]]


class EndPoint(BaseModel):
    """Where a path ends: the atoms of the structure, in their order, at other places."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    symbols: list[str] = Field(description="(N), those of the structure, in their order")
    positions: Rows = Field(description="(N, 3) Å")
    cell: Rows | None = Field(
        default=None, description="(3, 3) Å; that of the structure, where stated"
    )
    pbc: list[bool] | None = Field(default=None, description="(3), the same")
    charge: int | None = Field(default=None, description="the same")


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
