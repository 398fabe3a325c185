"""What a relaxation is asked for, and where it ended."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.atoms.graph import Graph
from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure

CellFreedom: TypeAlias = Literal["fixed", "full", "isotropic", "lengths"]
GPA = 1e9 * 1e-30 / 1.602176634e-19
"""eV/Å³."""
MOST_PRESSURE = 3.2
"""eV/Å³, of either sign: 500 GPa, more than at the centre of the earth."""
Axis: TypeAlias = Literal["a", "b", "c"]


def _freedom(cell: object) -> object:
    return {"true": "full", "false": "fixed"}.get(str(cell).lower(), cell)


def _sound_pressure(pressure: float) -> float:
    if abs(pressure) > MOST_PRESSURE:
        raise ValueError(
            f"{pressure:g} eV/Å³ is {pressure / GPA:.3g} GPa; at most {MOST_PRESSURE:g} eV/Å³ are "
            f"allowed; 1 GPa is {GPA:.5f} eV/Å³"
        )
    return pressure


class RelaxOptions(BaseModel):
    """Move the atoms until no force is longer than `fmax`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    fmax: float = Field(
        default=0.05,
        gt=0,
        allow_inf_nan=False,
        description="eV/Å; converged when no force is longer",
    )
    steps: int = Field(default=1000, ge=0, description="most optimiser steps")
    optimizer: Literal["auto", "internal", "scaled-lbfgs", "lbfgs", "fire"] = Field(
        default="auto",
        description="what suits the structure (`auto`): L-BFGS in redundant internal coordinates "
        "(`internal`), or scaled by its last pair (`scaled-lbfgs`); or L-BFGS or FIRE in ASE's variants "
        "(`lbfgs`, `fire`)",
    )
    cell: Annotated[CellFreedom, BeforeValidator(_freedom)] = Field(
        default="fixed",
        description="what of the cell of a bulk structure may change: nothing (`fixed` or false), "
        "everything (`full` or true), its volume only (`isotropic`), or the lengths of its edges "
        "but no angle (`lengths`)",
    )
    fixed_axes: tuple[Axis, ...] = Field(
        default=(),
        strict=False,
        description="lattice vectors that stay while the others relax, some of a, b, c",
    )
    pressure: Annotated[float, AfterValidator(_sound_pressure)] = Field(
        default=0.0, allow_inf_nan=False, description="eV/Å³, under which the cell relaxes"
    )
    smax: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="eV/Å³; where stated, the cell is converged when no component of its stress, as far "
        "as it may change, differs by more from the pressure; else its virial over the number of "
        "atoms is held to `fmax`",
    )


@dataclass(frozen=True, slots=True)
class Safeguards:
    """Where a relaxation is given up.

    Attributes:
        max_force: eV/Å; a longer force means that the structure has exploded.
        max_displacement: Å; an atom that is further from its start has flown off.
        max_evaluations: that a task may take for one structure besides its relaxations.
        max_md_evaluations: that dynamics may take for one structure, in place of these.
    """

    max_force: float = 1000.0
    max_displacement: float = 50.0
    max_evaluations: int = 3000
    max_md_evaluations: int = 100_000


@dataclass(frozen=True, slots=True)
class Relaxed:
    """Where a relaxation ended.

    Attributes:
        structure: the last sound geometry.
        graph: of that geometry, within the cutoff; None of a result that was kept and read again.
        prediction: its energy, forces and stress.
        initial: those of the structure as it was given.
        fmax: eV/Å, what was left of the criterion's quantity; with `smax`, of the atoms' part of it.
        steps: optimiser steps that were made.
        converged: whether the criterion was met.
        criterion: what was compared with which limit.
        reason: `converged`, `steps`, or `exploded: ...`.
    """

    structure: Structure
    graph: Graph | None
    prediction: StructurePrediction
    initial: StructurePrediction
    fmax: float
    steps: int
    converged: bool
    criterion: str
    reason: str
