"""What goes over the wire of batched geometry relaxation, as pydantic types."""

from typing import Annotated, Any, Literal

from pydantic import Field

from app.protocol.schemas import LONGEST_ID, ErrorOut, Flags, ModelOut, WarningOut
from app.protocol.wire import Wire

FORCE = 0.005
"""eV/Å, where `opttol` is not stated."""
PRESSURE = 0.5
"""kBar, where `opttol_pressure` is not stated."""
STEPS = 2000
"""Most steps of a relaxation, where the service allows as many."""
LONGEST_INFO = 10_000
Nine = Annotated[list[float], Field(min_length=9, max_length=9)]
Tolerance = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RelaxAtoms(Wire):
    """Atoms that are to be relaxed."""

    coord: Annotated[list[float], Field(fail_fast=True)] = Field(
        description="(3 N) Å, x, y and z of one atom after the other"
    )
    numbers: Annotated[list[int], Field(fail_fast=True)] = Field(description="(N) atomic numbers")
    cell: Nine | None = Field(
        default=None, description="(9) Å, one lattice vector after the other; required with any pbc"
    )
    pbc: Flags = Field(default=[True, True, True], description="periodicity along each vector")
    charge: int = Field(default=0, ge=-1000, le=1000, description="elementary charges")
    mult: int | None = Field(default=None, ge=1, le=1000, description="spin multiplicity 2S+1")
    structure_id: str | None = Field(default=None, max_length=LONGEST_ID, description="comes back")
    active_mask: Annotated[list[bool], Field(fail_fast=True)] | None = Field(
        default=None, description="(N) whether an atom may move; default: all"
    )


class RelaxRequest(Wire):
    """Structures to relax, and until when."""

    atoms: Annotated[
        list[Any], Field(min_length=1, json_schema_extra={"items": {"$ref": "RelaxAtoms"}})
    ]
    opttol: Tolerance | None = Field(default=None, description=f"eV/Å; default: {FORCE:g}")
    opttol_pressure: Tolerance | None = Field(
        default=None, description=f"kBar, of a cell that relaxes; default: {PRESSURE:g}"
    )
    cellopt: bool | None = Field(default=None, description="whether cells relax; default: false")
    info: str | None = Field(default=None, max_length=LONGEST_INFO, description="comes back")


class RelaxedAtoms(Wire):
    """What was sent, relaxed; or why it could not be."""

    coord: list[float] | None = Field(default=None, description="Å, of the relaxed structure")
    numbers: list[int] | None = None
    cell: list[float] | None = Field(default=None, description="Å, of the relaxed structure")
    pbc: list[bool] | None = None
    charge: int | None = None
    mult: int | None = None
    structure_id: str | None = None
    active_mask: list[bool] | None = None
    model: ModelOut | None = Field(default=None, description="where several models answer")
    converged: bool
    optimizer_nsteps: int
    energy: float | None = Field(description="eV")
    forces: list[float] | None = Field(description="(3 N) eV/Å")
    stress: list[float] | None = Field(
        description="(9) eV/Å³, row by row, positive under tension; of bulk"
    )
    charges: None = Field(description="no model has any")
    reason: str | None = Field(default=None, description="why the relaxation ended")
    warnings: list[WarningOut] | None = Field(default=None, description="doubts, if any")
    error: ErrorOut | None = Field(default=None, description="why there is no answer")


class RelaxAnswer(Wire):
    """Relaxed structures, in the order in which they were sent."""

    atoms: list[RelaxedAtoms]
    info: str | None
    status: Literal["Success", "Partial", "Failed"] = Field(
        description="whether all structures have an answer, or some, or none"
    )
    model: ModelOut | None = Field(description="null where several did: each structure has its own")
    detail: str | None = Field(default=None, description="why no structure has an answer")
    error: ErrorOut | None = Field(default=None, description="the same, with its code")


class RelaxError(Wire):
    """The body of an answer without results."""

    detail: str
    error: ErrorOut


class Health(Wire):
    """That the service is there, or may be asked."""

    status: Literal["live", "ready"]


class RelaxStatus(Wire):
    """How much was asked of this route, and how much waits in the service, since its start."""

    requests_received: int
    requests_completed: int = Field(description="answered, or ended otherwise")
    requests_in_progress: int
    tasks_received: int = Field(description="structures of requests that could be read")
    tasks_completed: int
    queue_size_tasks: int = Field(description="structures of all routes that wait or are computed")
    queue_size_atoms: int
    max_system_size: int = Field(description="most atoms of a structure")
