"""What a task is: its options, its result, and what runs it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import InvalidRequest
from app.relax import Relaxed, RelaxOptions
from app.tasks.asking import Asking, check_evaluations


class TaskLimits(NamedTuple):
    """How much one task may ask for.

    Attributes:
        relax_steps: most steps of a relaxation.
        conformers: most of a molecule.
        evaluations: most for one structure besides its relaxations.
        md_evaluations: most of dynamics for one structure, in place of these.
    """

    relax_steps: int
    conformers: int
    evaluations: int
    md_evaluations: int

    def check_evaluations(self, count: int, what: str) -> None:
        """Whether one structure's answer may take so many.

        Raises:
            StructureTooLarge: it may not.
        """
        check_evaluations(count, what, self.evaluations)


class TaskOptions(BaseModel):
    """What all tasks have: how structures are relaxed first."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    fmax_eV_per_A: float = Field(
        default=0.005,
        gt=0,
        allow_inf_nan=False,
        description="eV/Å; a relaxation is converged when no force is longer",
    )
    max_steps: int = Field(default=1000, ge=0, description="most optimiser steps of a relaxation")

    @property
    def relaxation(self) -> RelaxOptions:
        """How a structure is relaxed, with its cell as it is."""
        return RelaxOptions(fmax=self.fmax_eV_per_A, steps=self.max_steps)

    def bounded(self, limits: TaskLimits) -> Self:
        """The same within limits, which take the place of defaults beyond them.

        Raises:
            InvalidRequest: more are stated.
            StructureTooLarge: the answer for any structure takes more evaluations.
        """
        return self._within("max_steps", limits.relax_steps, "max_relax_steps")

    @property
    def of_one(self) -> str | None:
        """Name of an option that is of one structure alone; None where several may be asked for."""
        return None

    def _within(self, name: str, most: int, setting: str) -> Self:
        """The same with an option within the limit that a setting has."""
        value = getattr(self, name)
        if value <= most:
            return self
        if name not in self.model_fields_set:
            return self.model_copy(update={name: most})
        raise InvalidRequest(f"{name}: {value}; at most {most} are allowed ({setting})")


class TaskValue(BaseModel):
    """What a task finds for one structure; units are in the names of fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeptValue(TaskValue):
    """What a task found, as it was kept: fields as they are told."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a task.

    Attributes:
        value: what it found.
        relaxed: where the structure's relaxation ended.
        warnings: what is doubtful about both.
        relaxes: whether there was one to tell of; else `relaxed` is the structure as it was sent.
    """

    value: TaskValue
    relaxed: Relaxed
    warnings: tuple[AnswerWarning, ...] = ()
    relaxes: bool = True


Run: TypeAlias = Callable[[Asking, Structure, Any], Awaitable[Done]]
"""Does a task for one structure, with its options."""
Check: TypeAlias = Callable[[Structure, Any], None]
"""Whether the options can be asked of a structure, whatever the model; raises `EquipotError`."""


def anything(structure: Structure, options: TaskOptions) -> None:
    """Any structure may be asked for with any options."""


@dataclass(frozen=True, slots=True)
class TaskKind:
    """The description of a task, from which all that offers it follows.

    Attributes:
        name: by which it is asked for.
        summary: what it is for, in a line.
        options: what may be asked of it.
        value: what it finds.
        run: does it; raises `EquipotError` where the structure has no answer.
        check: whether the options can be asked of a structure.
    """

    name: str
    summary: str
    options: type[TaskOptions]
    value: type[TaskValue]
    run: Run
    check: Check = anything


@dataclass(frozen=True, slots=True)
class TaskCall:
    """A task, as it is asked for.

    Attributes:
        kind: which one.
        options: of its kind.
    """

    kind: TaskKind
    options: TaskOptions

    async def run(self, asking: Asking, structure: Structure) -> Done:
        """Do it for one structure; raises `EquipotError` where that has no answer."""
        return await self.kind.run(asking, structure, self.options)

    def check(self, structure: Structure) -> None:
        """Whether its options can be asked of a structure, whatever the model.

        Raises:
            EquipotError: they cannot, and it says why.
        """
        self.kind.check(structure, self.options)

    def check_count(self, structures: int) -> None:
        """Whether it can be asked of so many structures at once.

        Raises:
            InvalidRequest: an option is of one alone.
        """
        if structures > 1 and (name := self.options.of_one) is not None:
            raise InvalidRequest(
                f"{name}: is of one structure, and several are asked for; ask for one at a time"
            )
