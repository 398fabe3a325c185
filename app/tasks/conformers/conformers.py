"""`conformers`: the conformers of a molecule, ranked by energy."""

from collections import Counter
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from ase import units
from pydantic import Field

from app.atoms.structure import Floats, Structure
from app.atoms.warnings import AnswerWarning
from app.errors import EquipotError, InvalidRequest, InvalidStructure, NotConverged
from app.formats.notation import LARGEST_SEED
from app.relax import Relaxed
from app.relax.bonds import changed_bonds
from app.tasks.asking import Asking
from app.tasks.kind import Done, TaskKind, TaskLimits, TaskOptions, TaskValue

TOLD: dict[str, str] = {
    "not_converged": "did not converge",
    "exploded": "exploded",
    "bonds_changed": "broke or formed bonds",
    "stereo": "changed a stereocentre or a double bond",
    "failed": "could not be evaluated",
}
"""Why conformers are left out, in words."""


class Found(NamedTuple):
    """A minimum, and what is out of domain on the way there."""

    relaxed: Relaxed
    doubts: tuple[AnswerWarning, ...]

    @property
    def energy(self) -> float:
        """eV."""
        return self.relaxed.prediction.energy


class ConformersOptions(TaskOptions):
    """Make conformers of a molecule, relax them, drop those that are the same, and rank the rest."""

    fmax_eV_per_A: float = Field(
        default=0.01,
        gt=0,
        allow_inf_nan=False,
        description="eV/Å; a relaxation is converged when no force is longer",
    )
    count: int = Field(
        default=50,
        ge=1,
        description="geometries that are made, besides the given one",
    )
    random_seed: int = Field(
        default=1, ge=1, le=LARGEST_SEED, description="of their random numbers"
    )
    window_eV: float = Field(
        default=0.26,
        gt=0,
        allow_inf_nan=False,
        description="eV above the lowest one; those beyond are not told (6 kcal/mol)",
    )
    keep: int = Field(default=50, ge=1, description="most that are told, the lowest first")
    temperature_K: float = Field(default=298.15, gt=0, le=10_000, description="K, of their weights")
    same_energy_eV: float = Field(
        default=0.002, ge=0, le=0.1, description="eV by which two that are the same may differ"
    )
    same_rmsd_A: float = Field(
        default=0.125,
        ge=0,
        le=1,
        description="Å by which the atoms of two that are the same differ",
    )

    def bounded(self, limits: TaskLimits) -> Self:
        """See `TaskOptions`."""
        return super().bounded(limits)._within("count", limits.conformers, "max_conformers")


class Conformer(TaskValue):
    """One conformer, at its minimum."""

    energy_eV: float
    relative_energy_eV: float = Field(description="above the lowest one")
    weight: float = Field(description="Boltzmann's, by energy, among all that are told")
    positions_A: list[list[float]] = Field(description="(N, 3)")
    steps: int = Field(description="of its relaxation")


class ConformersValue(TaskValue):
    """Conformers of a molecule, the lowest first. Geometries count once, whatever their mirror images."""

    conformers: list[Conformer]
    temperature_K: float
    n_made: int = Field(description="geometries that were relaxed, the given one among them")
    n_distinct: int = Field(
        description="conformers that were found, those beyond the window as well"
    )
    n_duplicates: int = Field(description="minima that were found before")
    n_left_out: dict[str, int] = Field(description="those that are no conformers, by reason")
    n_beyond_window: int
    symbols: list[str]


async def run(asking: Asking, structure: Structure, options: ConformersOptions) -> Done:
    """Find the conformers of a molecule.

    Raises:
        InvalidRequest: RDKit is not installed.
        InvalidStructure: it is periodic or has fixed atoms, or its bonds are not found.
        NotConverged: no conformer of it is.
    """
    molecule = molecule_of(asking, structure)
    assert asking.chemist is not None
    made = await asking.chemist(
        {"do": "conformers", **molecule, "count": options.count, "seed": options.random_seed},
        f"{options.count} conformers",
    )
    starts = [structure, *(structure.at(p) for p in made["positions"])]
    work = partial(_relaxed, asking, options)
    ended = await asking.each(work, starts, asking.count("conformers", len(starts)))
    errors = [end for end in ended if isinstance(end, EquipotError)]
    if len(errors) == len(ended):
        raise errors[0]
    left_out = Counter(
        end if isinstance(end, str) else "failed" for end in ended if not isinstance(end, Found)
    )
    found = sorted((e for e in ended if isinstance(e, Found)), key=lambda each: each.energy)
    molecule |= {name: made[name] for name in ("bonds", "charges")}
    verdicts = await _verdicts(asking, molecule, found, options)
    left_out.update(verdict for verdict in verdicts if verdict == "stereo")
    distinct = [each for each, verdict in zip(found, verdicts, strict=True) if verdict == "kept"]
    if not distinct:
        longer = "more max_steps, " if "not_converged" in left_out else ""
        raise NotConverged(
            f"of {len(starts)} geometries none is a conformer: {_listed(left_out)}; state {longer}"
            "another seed, or another model"
        )
    warnings = [AnswerWarning(code, message) for code, message in made["warnings"]]
    if left_out:
        told = f"{left_out.total()} of {len(starts)} geometries are left out: {_listed(left_out)}"
        warnings.append(AnswerWarning("conformers_left_out", told))
    count = len(starts), verdicts.count("duplicate")
    value = _value(structure, [each.relaxed for each in distinct], options, left_out, *count)
    return Done(value, distinct[0].relaxed, (*warnings, *distinct[0].doubts))


def check(structure: Structure, _: object = None) -> None:
    """Whether it is a molecule that is free.

    Raises:
        InvalidStructure: it is none.
    """
    if structure.pbc.any():
        raise InvalidStructure("the structure repeats (pbc); conformers are of molecules")
    if structure.fixed is not None and structure.fixed.any():
        raise InvalidStructure("fixed: conformers are of molecules whose atoms may all move")


def molecule_of(asking: Asking, structure: Structure) -> dict[str, Any]:
    """What RDKit is told of a molecule.

    Raises:
        InvalidRequest: nobody asks RDKit here.
        InvalidStructure: it is no molecule that is free.
    """
    check(structure)
    if asking.chemist is None:
        raise InvalidRequest("there is no RDKit here, which knows of bonds and makes geometries")
    topology = asking.topology
    stated = topology is not None and bool(topology.bonds)
    return {
        "numbers": structure.numbers.tolist(),
        "positions": structure.positions.tolist(),
        "bonds": [list(bond[:3]) for bond in topology.bonds] if topology and stated else None,
        "charges": list(topology.charges.items()) if topology and stated else [],
        "charge": structure.charge,
    }


async def _relaxed(
    asking: Asking, options: ConformersOptions, start: Structure
) -> Found | str | EquipotError:
    """Where a geometry ended, or why it is no conformer."""
    try:
        relaxed, doubts = await asking.relaxed(start, options.relaxation)
    except EquipotError as error:
        return error
    if not relaxed.converged:
        return "not_converged" if relaxed.reason == "steps" else "exploded"
    changed = changed_bonds(start, relaxed.structure)
    return "bonds_changed" if changed else Found(relaxed, doubts)


async def _verdicts(
    asking: Asking, molecule: dict[str, Any], found: list[Found], options: ConformersOptions
) -> list[str]:
    """For each of some minima, by rising energy: `kept`, `duplicate` or `stereo`."""
    assert asking.chemist is not None
    question = {
        "do": "compare",
        **{name: molecule[name] for name in ("numbers", "positions", "bonds", "charges")},
        "candidates": [each.relaxed.structure.positions.tolist() for each in found],
        "energies": [each.energy for each in found],
        "same_energy": options.same_energy_eV,
        "same_rmsd": options.same_rmsd_A,
    }
    verdicts: list[str] = (await asking.chemist(question, "comparison of conformers"))["verdicts"]
    return verdicts


def _value(
    structure: Structure,
    distinct: list[Relaxed],
    options: ConformersOptions,
    left_out: Counter[str],
    made: int,
    duplicates: int,
) -> ConformersValue:
    above = np.array([r.prediction.energy for r in distinct]) - distinct[0].prediction.energy
    within = np.flatnonzero(above <= options.window_eV)[: options.keep]
    weights = boltzmann(above[within], options.temperature_K)
    return ConformersValue(
        conformers=[
            Conformer(
                energy_eV=distinct[i].prediction.energy,
                relative_energy_eV=float(above[i]),
                weight=float(weight),
                positions_A=distinct[i].structure.positions.tolist(),
                steps=distinct[i].steps,
            )
            for i, weight in zip(within.tolist(), weights, strict=True)
        ],
        temperature_K=options.temperature_K,
        n_made=made,
        n_distinct=len(distinct),
        n_duplicates=duplicates,
        n_left_out=dict(left_out),
        n_beyond_window=int((above > options.window_eV).sum()),
        symbols=structure.symbols,
    )


def boltzmann(energies: Floats, temperature: float) -> Floats:
    """(K,) weights of energies in eV at a temperature in K; they sum to 1."""
    factors = np.exp(-(energies - energies.min()) / (units.kB * temperature))
    weights: Floats = factors / factors.sum()
    return weights


def _listed(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {TOLD[why]}" for why, count in left_out.items())


CONFORMERS = TaskKind(
    "conformers",
    "conformers of molecules: made, relaxed, told apart, ranked, with Boltzmann weights",
    ConformersOptions,
    ConformersValue,
    run,
    check,
)
