"""Crystals at rest, and what they become under strain."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from app.atoms.structure import Floats, Structure
from app.atoms.warnings import AnswerWarning
from app.errors import InvalidStructure, NotConverged
from app.relax import Relaxed, RelaxOptions
from app.relax.options import GPA
from app.tasks.asking import Asking, remedy
from app.tasks.kind import TaskOptions

CELLS = "strained cells"
"""What takes evaluations, for errors and for who follows."""


class CrystalOptions(TaskOptions):
    """How a crystal is brought to rest before it is strained."""

    cell: Literal["full", "isotropic", "fixed"] = Field(
        default="full",
        description="what of the cell is relaxed first: everything, its volume, or nothing",
    )
    smax_GPa: float = Field(
        default=0.01,
        gt=0,
        allow_inf_nan=False,
        description="GPa; the cell is at rest when no component of its stress is larger",
    )

    @property
    def relaxation(self) -> RelaxOptions:
        """How the crystal is relaxed."""
        held = RelaxOptions(fmax=self.fmax_eV_per_A, steps=self.max_steps)
        if self.cell == "fixed":
            return held
        return held.model_copy(update={"cell": self.cell, "smax": self.smax_GPa * GPA})

    @property
    def ions(self) -> RelaxOptions:
        """How its atoms are relaxed under strain."""
        return RelaxOptions(fmax=self.fmax_eV_per_A, steps=self.max_steps)


def check(structure: Structure, _: object = None) -> None:
    """Whether it is a crystal.

    Raises:
        InvalidStructure: it does not repeat in all directions.
    """
    if not structure.is_bulk:
        raise InvalidStructure("pbc: the structure does not repeat in all three directions")


async def at_rest(
    asking: Asking, structure: Structure, options: CrystalOptions
) -> tuple[Relaxed, tuple[AnswerWarning, ...]]:
    """A crystal at its minimum, and what is out of domain on the way.

    Raises:
        InvalidStructure: it does not repeat in all directions.
        NotConverged: there is no minimum.
    """
    check(structure)
    return await asking.minimum(structure, options.relaxation, asking.course)


def deformed(structure: Structure, deformation: Floats) -> Structure:
    """The structure, whose every point r is at F r.

    Args:
        structure: N atoms.
        deformation: (3, 3), F.
    """
    return replace(
        structure,
        positions=structure.positions @ deformation.T,
        cell=structure.cell @ deformation.T,
    )


async def relaxed_ions(
    asking: Asking, structures: Sequence[Structure], names: Sequence[str], options: RelaxOptions
) -> list[Relaxed]:
    """Each strained crystal, with its atoms at rest.

    Args:
        asking: the model.
        structures: of one crystal.
        names: of their strains, for errors.
        options: how atoms are relaxed.

    Raises:
        NotConverged: the atoms of one did not come to rest.
    """
    asking.check(len(structures), CELLS)

    async def one(structure: Structure) -> Relaxed:
        return (await asking.relaxed(structure, options))[0]

    ended = await asking.each(one, structures, asking.count("strained cells", len(structures)))
    for relaxed, name in zip(ended, names, strict=True):
        if not relaxed.converged:
            raise NotConverged(
                f"{name}: the atoms did not come to rest within {relaxed.steps} steps "
                f"({relaxed.reason}; {relaxed.fmax:.3g} eV/Å are left); "
                f"{remedy(relaxed, 'state a smaller strain')}"
            )
    return ended
