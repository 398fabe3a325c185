"""Strain and deformation of a molecule; its tautomers and protomers."""

from dataclasses import replace
from typing import Any

import numpy as np

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import EquipotError, InvalidRequest, InvalidStructure
from app.relax import Relaxed
from app.tasks.asking import Asking
from app.tasks.conformers.conformers import CONFORMERS, ConformersOptions, molecule_of
from app.tasks.differences.options import EnergiesOfOptions
from app.tasks.differences.parts import Asked, Difference, Part, difference, found, of_relaxed, part

GIVEN, LOCAL, LOWEST = "given", "nearest minimum", "lowest conformer"
Found = tuple[list[Difference], list[Part], Relaxed, tuple[AnswerWarning, ...]]


async def deformation(asking: Asking, structure: Structure, options: EnergiesOfOptions) -> Found:
    """The energy of a geometry above that of the minimum it relaxes to.

    Raises:
        NotConverged: it has none.
    """
    start = await _bound(asking, structure, options)
    relaxed, doubts = await asking.minimum(start, options.relaxation, asking.course)
    given = part(Asked(GIVEN, start, relaxes=False), relaxed.initial.energy, start, ())
    parts = [given, of_relaxed(LOCAL, relaxed, doubts)]
    return [difference("deformation", parts, [GIVEN], [LOCAL])], parts, relaxed, doubts


async def strain(asking: Asking, structure: Structure, options: EnergiesOfOptions) -> Found:
    """The same above its lowest conformer.

    Raises:
        InvalidRequest: there is no RDKit here.
        InvalidStructure: it is no molecule.
        NotConverged: it has no minimum, or no conformers.
    """
    _, parts, relaxed, doubts = await deformation(asking, structure, options)
    asked = ConformersOptions(
        fmax_eV_per_A=options.fmax_eV_per_A,
        max_steps=options.max_steps,
        count=options.conformers,
        random_seed=options.random_seed,
        keep=1,
    )
    lowest = await CONFORMERS.run(asking, relaxed.structure, asked)
    parts.append(of_relaxed(LOWEST, lowest.relaxed, lowest.warnings))
    differences = [
        difference("strain", parts, [GIVEN], [LOWEST]),
        difference("deformation", parts, [GIVEN], [LOCAL]),
        difference("conformation", parts, [LOCAL], [LOWEST]),
    ]
    return differences, parts, relaxed, doubts


async def _bound(asking: Asking, structure: Structure, options: EnergiesOfOptions) -> Structure:
    """The geometry that is looked at."""
    if not options.hydrogens:
        return structure
    held = replace(structure, fixed=structure.numbers != 1)
    relaxed, _ = await asking.minimum(held, options.relaxation)
    return replace(relaxed.structure, fixed=structure.fixed)


async def tautomers(asking: Asking, structure: Structure, options: EnergiesOfOptions) -> Found:
    """Energies of the tautomers of a molecule, above its own, each of its lowest conformer.

    Raises:
        InvalidRequest: there is no RDKit here.
        InvalidStructure: it is no molecule, or has no other tautomers.
    """
    question = {"do": "tautomers", "most": options.most}
    return await _forms(asking, structure, options, question, 0, "tautomers")


async def protomers(asking: Asking, structure: Structure, options: EnergiesOfOptions) -> Found:
    """Energies of a molecule with a proton more or less, at each of its sites, above the lowest of these:
    with the molecule itself they have no energy in common, since a bare proton has another one in each
    method.

    Raises:
        InvalidRequest: there is no RDKit here.
        InvalidStructure: it is no molecule, or has no site.
    """
    question = {"do": "protomers", "most": options.most, "protons": options.protons}
    what = f"sites that {'take' if options.protons > 0 else 'give'} a proton"
    return await _forms(asking, structure, options, question, options.protons, what)


async def _forms(
    asking: Asking,
    structure: Structure,
    options: EnergiesOfOptions,
    question: dict[str, Any],
    charge: int,
    what: str,
) -> Found:
    molecule = molecule_of(asking, structure)
    if asking.chemist is None:
        raise InvalidRequest(f"{options.difference}: there is no RDKit here that knows bonds")
    made = await asking.chemist(
        {**question, **molecule, "count": options.conformers, "seed": options.random_seed}, what
    )
    if not made["forms"]:
        raise InvalidStructure(
            f"the molecule has no {what} (of which {options.most} are looked for)"
        )
    asking.check(sum(len(form["positions"]) for form in made["forms"]), f"geometries of {what}")
    relaxed, doubts = await asking.minimum(structure, options.relaxation, asking.course)
    parts = [of_relaxed(GIVEN, relaxed, doubts)]
    if not charge:
        own = await _lowest(asking, structure, made["own"], 0, options)
        if not _has_other_bonds(own):
            parts = [min(parts[0], own.model_copy(update={"name": GIVEN}), key=_energy)]
    for form in made["forms"]:
        parts.append(await _lowest(asking, structure, form, charge, options))
    lowest = min(parts[1:], key=_energy).name if charge else GIVEN
    forms = [difference(each.name, parts, [each.name], [lowest]) for each in parts[1:]]
    ranked = sorted(forms, key=lambda d: np.inf if d.energy_eV is None else d.energy_eV)
    return ranked, parts, relaxed, doubts


async def _lowest(
    asking: Asking,
    structure: Structure,
    form: dict[str, Any],
    charge: int,
    options: EnergiesOfOptions,
) -> Part:
    """A form at the lowest minimum of those that its geometries lead to."""
    doubts = tuple(AnswerWarning(*each) for each in form["warnings"])
    try:
        asked = [
            Asked(
                form["smiles"],
                replace(
                    structure,
                    numbers=np.array(form["numbers"]),
                    positions=np.array(positions),
                    charge=structure.charge + charge,
                    fixed=None,
                ),
                before=doubts,
            )
            for positions in form["positions"]
        ]
    except EquipotError as error:
        raise InvalidStructure(f"{form['smiles']}: {error}") from None
    ended = await found(asking, asked, options.relaxation)
    return min(ended, key=lambda each: (_has_other_bonds(each), _energy(each)))


def _has_other_bonds(part: Part) -> bool:
    """Whether it became another form on the way to its minimum."""
    return any(told.startswith("bonds_changed") for told in part.warnings)


def _energy(part: Part) -> float:
    """eV, by which parts are compared."""
    return np.inf if part.energy_eV is None else part.energy_eV
