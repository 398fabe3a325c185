"""Interaction of molecules in a complex, and of what is adsorbed on a surface."""

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import InvalidRequest, InvalidStructure
from app.relax import Relaxed, RelaxOptions
from app.relax.bonds import molecules
from app.tasks.asking import Asking
from app.tasks.differences.options import EnergiesOfOptions
from app.tasks.differences.parts import (
    Asked,
    Difference,
    Part,
    difference,
    found,
    of_atoms,
    of_relaxed,
)

COMPLEX = "complex"


async def interaction(
    asking: Asking, structure: Structure, options: EnergiesOfOptions
) -> tuple[list[Difference], list[Part], Relaxed, tuple[AnswerWarning, ...]]:
    """Energies of a complex, of its parts as they are in it, and of its parts at rest.

    Raises:
        InvalidStructure: it has no two parts, or these are not all of its atoms.
        InvalidRequest: charges are missing, or do not add up.
        NotConverged: the complex did not come to rest.
    """
    fragments = fragments_of(structure, options)
    charges = charges_of(structure, len(fragments), options)
    if options.relax:
        whole, doubts = await asking.minimum(structure, options.relaxation, asking.course)
    else:
        still = RelaxOptions(fmax=options.fmax_eV_per_A, steps=0)
        whole, doubts = await asking.relaxed(structure, still)
    asked = [
        Asked(
            f"{name}{i}", of_atoms(whole.structure, atoms, charge), name == RESTING, sorted(atoms)
        )
        for name in (FROZEN, RESTING)
        for i, (atoms, charge) in enumerate(zip(fragments, charges, strict=True))
    ]
    together = of_relaxed(COMPLEX, whole, doubts).model_copy(update={"is_relaxed": options.relax})
    parts = [together, *await found(asking, asked, options.relaxation)]
    numbers = range(len(fragments))
    frozen, resting = ([f"{name}{i}" for i in numbers] for name in (FROZEN, RESTING))
    differences = [
        difference("interaction", parts, [COMPLEX], frozen),
        difference("deformation", parts, frozen, resting),
        difference("binding", parts, [COMPLEX], resting),
        *(difference(f"deformation of {i}", parts, [frozen[i]], [resting[i]]) for i in numbers),
    ]
    return differences, parts, whole, doubts


FROZEN, RESTING = "as in the complex: ", "at rest: "


def fragments_of(structure: Structure, options: EnergiesOfOptions) -> list[list[int]]:
    """Numbers of the atoms of each fragment, as stated or as found.

    Raises:
        InvalidStructure: there are none, or they are not those of the structure.
    """
    count = len(structure)
    if options.fragments is None:
        if structure.pbc.any():
            raise InvalidStructure(
                "the structure repeats (pbc); state which atoms its fragments are"
            )
        numbers = molecules(structure)
        found = [[i for i in range(count) if numbers[i] == n] for n in range(numbers.max() + 1)]
        if len(found) < 2:
            raise InvalidStructure(
                "the structure is one molecule; send a complex, or state its fragments"
            )
        return found
    stated = [each for fragment in options.fragments for each in fragment]
    if sorted(stated) != list(range(count)):
        wrong = [i for i in stated if not 0 <= i < count or stated.count(i) > 1]
        missing = sorted(set(range(count)) - set(stated))
        told = (
            f"atom {wrong[0]} is not there, or twice" if wrong else f"atom {missing[0]} is in none"
        )
        raise InvalidStructure(
            f"fragments: {told}; each of the atoms 0 to {count - 1} has to be in one"
        )
    return [list(fragment) for fragment in options.fragments]


def charges_of(structure: Structure, count: int, options: EnergiesOfOptions) -> tuple[int, ...]:
    """Charges of so many fragments.

    Raises:
        InvalidRequest: they are not stated, or do not add up to that of the structure.
    """
    charges = options.charges
    if charges is None:
        if structure.charge:
            raise InvalidRequest(
                f"charges: the complex has charge {structure.charge}; state that of each of its "
                f"{count} fragments"
            )
        return (0,) * count
    if len(charges) != count or sum(charges) != structure.charge:
        raise InvalidRequest(
            f"charges: {list(charges)}; expected {count} that add up to {structure.charge}"
        )
    return charges
