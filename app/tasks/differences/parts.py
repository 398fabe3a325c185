"""Parts of differences of energies: each a structure with its energy, and what is doubtful about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import EquipotError, NotConverged
from app.relax import Relaxed, RelaxOptions
from app.relax.bonds import changed_bonds
from app.tasks.asking import Asking
from app.tasks.kind import TaskValue

WHAT = "parts"


class Part(TaskValue):
    """One structure whose energy is in the differences; `error` in the place of its energy where it
    has none.
    """

    name: str
    energy_eV: float | None = None
    error: str | None = None
    is_relaxed: bool = Field(description="whether it came to rest, or is as it was")
    atoms: list[int] | None = Field(
        default=None, description="of the structure that was sent, by their numbers; none of forms"
    )
    charge: int
    symbols: list[str]
    positions_A: list[list[float]]
    warnings: list[str] = Field(description="`code: message`")


class Difference(TaskValue):
    """A sum of energies of parts less another one."""

    name: str
    energy_eV: float | None = None
    plus: list[str] = Field(description="parts whose energies are added")
    minus: list[str] = Field(description="parts whose energies are subtracted")
    error: str | None = Field(default=None, description="why it has no value")


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A part that is asked for.

    Attributes:
        name: by which differences speak of it.
        structure: where it begins.
        relaxes: whether it comes to rest.
        atoms: it has of the structure that was sent.
        before: doubts about it.
    """

    name: str
    structure: Structure
    relaxes: bool = True
    atoms: list[int] | None = None
    before: tuple[AnswerWarning, ...] = ()


def of_atoms(structure: Structure, atoms: Sequence[int], charge: int) -> Structure:
    """Some atoms of a structure, with its cell."""
    chosen = np.array(sorted(atoms))
    return replace(
        structure,
        numbers=structure.numbers[chosen],
        positions=structure.positions[chosen],
        fixed=None if structure.fixed is None else structure.fixed[chosen],
        charge=charge,
        multiplicity=None,
    )


async def found(asking: Asking, asked: Sequence[Asked], options: RelaxOptions) -> list[Part]:
    """Energies of parts, side by side; one that has none costs the others nothing."""
    named = {id(each.structure): each for each in asked}

    async def one(structure: Structure) -> Part:
        return await _one(asking, named[id(structure)], options)

    return await asking.each(
        one, [each.structure for each in asked], asking.count(WHAT, len(asked))
    )


async def _one(asking: Asking, asked: Asked, options: RelaxOptions) -> Part:
    try:
        warnings = [*asked.before, *asking.odd_electrons(asked.structure)]
        if not asked.relaxes:
            prediction, doubts = await asking.single_point(asked.structure)
            return part(asked, prediction.energy, asked.structure, (*warnings, *doubts))
        relaxed, doubts = await asking.minimum(asked.structure, options)
    except EquipotError as error:
        return failed(asked, error)
    warnings += [*doubts, *changed_bonds(asked.structure, relaxed.structure)]
    return part(asked, relaxed.prediction.energy, relaxed.structure, warnings)


def failed(asked: Asked, error: EquipotError) -> Part:
    """A part that has no energy."""
    return part(asked, None, asked.structure, asked.before).model_copy(update={"error": str(error)})


def part(
    asked: Asked, energy: float | None, structure: Structure, warnings: Sequence[AnswerWarning]
) -> Part:
    """A part with its energy in eV, and where it is now."""
    return Part(
        name=asked.name,
        energy_eV=energy,
        is_relaxed=asked.relaxes and energy is not None,
        atoms=asked.atoms,
        charge=structure.charge,
        symbols=structure.symbols,
        positions_A=structure.positions.tolist(),
        warnings=[f"{warning.code}: {warning.message}" for warning in warnings],
    )


def of_relaxed(name: str, relaxed: Relaxed, doubts: Sequence[AnswerWarning] = ()) -> Part:
    """The part that a relaxation ended with."""
    return part(
        Asked(name, relaxed.structure), relaxed.prediction.energy, relaxed.structure, doubts
    )


def difference(
    name: str, parts: Sequence[Part], plus: Sequence[str], minus: Sequence[str]
) -> Difference:
    """Energies of some parts, less those of others, by their names."""
    known = {each.name: each for each in parts}
    missing = [each for each in (*plus, *minus) if known[each].energy_eV is None]
    if missing:
        why = "; ".join(f"{each}: {known[each].error}" for each in missing)
        return Difference(name=name, plus=[*plus], minus=[*minus], error=why)
    value = sum(known[each].energy_eV or 0.0 for each in plus)
    value -= sum(known[each].energy_eV or 0.0 for each in minus)
    return Difference(name=name, energy_eV=value, plus=[*plus], minus=[*minus])


def check(differences: Sequence[Difference]) -> None:
    """Whether any of them has a value.

    Raises:
        NotConverged: none has.
    """
    if all(each.energy_eV is None for each in differences):
        raise NotConverged(f"none of the energies is known; {differences[0].error}")
