"""What a task is: its options, its result, and what runs it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import InvalidRequest
from app.relax import Relaxed, RelaxOptions
from app.tasks.asking import Asking


class TaskOptions(BaseModel):
    """What all tasks have: how structures are relaxed first."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

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

    def bounded(self, steps: int, conformers: int) -> Self:
        """The same within limits, which take the place of defaults beyond them.

        Args:
            steps: most of a relaxation.
            conformers: most of a molecule.

        Raises:
            InvalidRequest: more are stated.
        """
        return self._within("max_steps", steps, "max_relax_steps")

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
    """

    value: TaskValue
    relaxed: Relaxed
    warnings: tuple[AnswerWarning, ...] = ()


Run: TypeAlias = Callable[[Asking, Structure, Any], Awaitable[Done]]
"""Does a task for one structure, with its options."""


@dataclass(frozen=True, slots=True)
class TaskKind:
    """The description of a task, from which all that offers it follows.

    Attributes:
        name: by which it is asked for.
        summary: what it is for, in a line.
        options: what may be asked of it.
        value: what it finds.
        run: does it; raises `EquipotError` where the structure has no answer.
    """

    name: str
    summary: str
    options: type[TaskOptions]
    value: type[TaskValue]
    run: Run


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
