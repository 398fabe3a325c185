"""`energies-of`: named differences of energies, with the parts that they are made of."""

from collections.abc import Awaitable, Callable, Mapping

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.tasks.asking import Asking
from app.tasks.differences.complexes import charges_of, fragments_of, interaction
from app.tasks.differences.dissociation import check_bonds, dissociation
from app.tasks.differences.forms import Found, deformation, protomers, strain, tautomers
from app.tasks.differences.options import KINDS, EnergiesOfOptions
from app.tasks.differences.parts import Difference, Part, check
from app.tasks.kind import Done, TaskKind, TaskValue

Way = Callable[[Asking, Structure, EnergiesOfOptions], Awaitable[Found]]
WAYS: Mapping[str, Way] = {
    "interaction": interaction,
    "deformation": deformation,
    "strain": strain,
    "tautomers": tautomers,
    "protomers": protomers,
    "bond_dissociation": dissociation,
}


class EnergiesOfValue(TaskValue):
    """Differences of energies, without vibrations, and the parts whose energies these are."""

    difference: KINDS
    differences: list[Difference]
    parts: list[Part]


async def run(asking: Asking, structure: Structure, options: EnergiesOfOptions) -> Done:
    """Relax the parts of a difference.

    Raises:
        InputError: the structure has no such parts.
        NotConverged: it did not come to rest, or none of the differences is known.
    """
    differences, parts, relaxed, doubts = await WAYS[options.difference](asking, structure, options)
    check(differences)
    value = EnergiesOfValue(difference=options.difference, differences=differences, parts=parts)
    return Done(value, relaxed, (*doubts, *_of_parts(differences, parts)))


def check_parts(structure: Structure, options: EnergiesOfOptions) -> None:
    """Whether a structure has the parts that are stated.

    Raises:
        InputError: it has not.
    """
    if options.difference == "interaction":
        charges_of(structure, len(fragments_of(structure, options)), options)
    if options.bonds is not None:
        check_bonds(structure, options.bonds)


def _of_parts(differences: list[Difference], parts: list[Part]) -> tuple[AnswerWarning, ...]:
    """What is doubtful about parts, and which of the differences have no value."""
    doubtful = [f"{part.name} ({part.warnings[0]})" for part in parts[1:] if part.warnings]
    missing = [f"{each.name} ({each.error})" for each in differences if each.error]
    warnings = []
    if doubtful:
        warnings.append(AnswerWarning("doubtful_parts", "; ".join(doubtful)))
    if missing:
        warnings.append(AnswerWarning("differences_missing", "; ".join(missing)))
    return tuple(warnings)


ENERGIES_OF = TaskKind(
    "energies-of",
    "interaction, deformation, strain, tautomers, protomers, bond dissociation: differences of relaxations",
    EnergiesOfOptions,
    EnergiesOfValue,
    run,
    check_parts,
)
