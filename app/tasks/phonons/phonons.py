"""`phonons`: frequencies of a crystal by finite displacements, and what statistics makes of them."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Self

import numpy as np
from ase import units
from pydantic import Field, model_validator

from app.atoms.structure import Floats, Structure
from app.atoms.warnings import AnswerWarning
from app.errors import InvalidStructure
from app.relax import Relaxed
from app.tasks.asking import Asking
from app.tasks.crystals.strained import CrystalOptions, at_rest, check
from app.tasks.kind import Done, TaskKind, TaskValue
from app.tasks.phonons.lattice import CUTOFF_THZ, Bands, Lattice, multiples_for, width_of

WHAT = "displaced supercells"
IMAGINARY_THZ = -0.05
"""Below it a mode is imaginary, and not one of the crystal as a whole with its rounding."""
KJ_PER_MOL = units.kJ / units.mol
Multiples = Annotated[tuple[int, int, int], Field(strict=False)]


class PhononsOptions(CrystalOptions):
    """Relax crystals, displace atoms of a supercell as symmetry tells, and find bands, density of states
    and thermal properties.
    """

    fmax_eV_per_A: float = Field(
        default=0.001,
        gt=0,
        allow_inf_nan=False,
        description="eV/Å; a relaxation is converged when no force is longer",
    )
    supercell_length_A: float = Field(
        default=12.0,
        gt=0,
        le=100,
        description="Å; the supercell is nowhere narrower: twice the model's range is a good choice",
    )
    supercell: Multiples | None = Field(
        default=None,
        description="how often each lattice vector is repeated, in the place of supercell_length_A",
    )
    displacement_A: float = Field(
        default=0.01, ge=0.001, le=0.1, description="Å by which atoms are moved"
    )
    symmetry_tolerance_A: float = Field(
        default=1e-3,
        gt=0,
        le=0.5,
        description="Å by which atoms may miss each other's places in a symmetry",
    )
    mesh_length_A: float = Field(
        default=60.0,
        gt=0,
        le=300,
        description="Å; a lattice vector of a Å has this over a points in the mesh of sums",
    )
    band_points: int = Field(
        default=31, ge=2, le=501, description="between two special points of the path"
    )
    temperature_max_K: float = Field(default=1000.0, gt=0, le=10_000, description="K, the highest")
    temperature_step_K: float = Field(default=50.0, ge=1, le=10_000, description="K, from 0 on")
    force_constants: bool = Field(default=False, description="whether these are told")

    @model_validator(mode="after")
    def _states_one_supercell(self) -> Self:
        if self.supercell is not None and "supercell_length_A" in self.model_fields_set:
            raise ValueError("supercell_length_A: the supercell is stated; leave one out")
        return self


class PhononsValue(TaskValue):
    """Phonons of a crystal at rest. Imaginary modes are negative, and in no sum."""

    supercell: list[int] = Field(description="how often each lattice vector is repeated")
    displaced_supercells: int
    space_group: str = Field(description="symbol and number")
    primitive_atoms: int = Field(description="of the primitive cell, n")
    band_labels: list[str] = Field(description="special points along the path; G is Γ")
    band_label_distances_per_A: list[float] = Field(description="where they are")
    band_distances_per_A: list[float] = Field(description="(Q) of all points")
    band_qpoints: list[list[float]] = Field(
        description="(Q, 3), in reciprocal lattice vectors of the primitive cell"
    )
    band_frequencies_THz: list[list[float]] = Field(description="(Q, 3n)")
    dos_frequencies_THz: list[float]
    dos_states_per_THz: list[float] = Field(description="of a primitive cell; 3n in all")
    temperatures_K: list[float]
    free_energies_eV: list[float] = Field(description="F of vibrations, of a primitive cell")
    entropies_eV_per_K: list[float] = Field(description="the same")
    heat_capacities_eV_per_K: list[float] = Field(description="the same, at constant volume")
    zero_point_energy_eV: float = Field(description="of a primitive cell")
    lowest_THz: float = Field(description="of all frequencies of path and mesh")
    lowest_qpoint: list[float]
    is_stable: bool = Field(description="whether no mode is imaginary")
    phonopy_yaml: str = Field(description="cells, displacements and forces, for phonopy.load")
    force_constants_eV_per_A2: list[list[list[list[float]]]] | None = Field(
        default=None, description="(M, M, 3, 3), of the supercell; where asked for"
    )


def check_movable(structure: Structure, options: PhononsOptions) -> None:
    """Whether it is a crystal of which phonons can be found.

    Raises:
        InvalidStructure: it is not, or no such supercell can be made of it.
    """
    check(structure)
    if structure.fixed is not None and structure.fixed.any():
        raise InvalidStructure("fixed: phonons are of crystals whose atoms may all move")
    if options.supercell is not None and min(options.supercell) < 1:
        raise InvalidStructure(
            f"supercell: {list(options.supercell)}; expected three numbers from 1"
        )
    if np.linalg.det(structure.cell) < 0:
        raise InvalidStructure("cell: its vectors are left-handed; swap two of them")


async def run(asking: Asking, structure: Structure, options: PhononsOptions) -> Done:
    """Relax a crystal, and find its phonons.

    Raises:
        InvalidRequest: phonopy is not installed.
        InvalidStructure: it does not repeat in all directions, or has fixed atoms.
        StructureTooLarge: its supercell has too many atoms, or too many displacements.
        NotConverged: it has no minimum.
    """
    check_movable(structure, options)
    relaxed, doubts = await at_rest(asking, structure, options)
    minimum = relaxed.structure
    multiples = options.supercell or multiples_for(minimum, options.supercell_length_A)
    copies = multiples[0] * multiples[1] * multiples[2]
    asking.potential.check_size(len(minimum) * copies, f"the supercell {list(multiples)}")
    lattice = await asyncio.to_thread(Lattice, minimum, multiples, options.symmetry_tolerance_A)
    cells = await asyncio.to_thread(lattice.displaced, options.displacement_A)
    predictions = await asking.predict(cells, WHAT)
    forces = np.array([p.forces for p in predictions if p.forces is not None])
    value = await asyncio.to_thread(_value, lattice, forces, multiples, options)
    warnings = (*_imaginary(value), *_narrow(asking, relaxed, multiples))
    return Done(value, relaxed, (*doubts, *warnings))


def _value(
    lattice: Lattice, forces: Floats, multiples: tuple[int, int, int], options: PhononsOptions
) -> PhononsValue:
    """All that forces (K, M, 3) in eV/Å say."""
    lattice.take(forces)
    bands = lattice.bands(options.band_points)
    qpoints, frequencies = lattice.mesh(options.mesh_length_A)
    if np.abs(frequencies).max() <= CUTOFF_THZ:
        raise InvalidStructure(
            f"mesh_length_A {options.mesh_length_A:g}: no mode of its {len(qpoints)} points has more than "
            f"{CUTOFF_THZ} THz, so that there is nothing to sum; state a longer one, or a larger supercell"
        )
    dos_at, states = lattice.density()
    steps = np.arange(0.0, options.temperature_max_K + 1e-9, options.temperature_step_K)
    thermal = lattice.thermal(steps)
    lowest, where = _lowest(bands, qpoints, frequencies)
    return PhononsValue(
        supercell=list(multiples),
        displaced_supercells=len(forces),
        space_group=lattice.space_group,
        primitive_atoms=lattice.primitive_atoms,
        band_labels=bands.labels,
        band_label_distances_per_A=bands.at,
        band_distances_per_A=bands.distances.tolist(),
        band_qpoints=bands.qpoints.tolist(),
        band_frequencies_THz=bands.frequencies.tolist(),
        dos_frequencies_THz=dos_at.tolist(),
        dos_states_per_THz=states.tolist(),
        temperatures_K=steps.tolist(),
        free_energies_eV=(np.array(thermal.free_energy) * KJ_PER_MOL).tolist(),
        entropies_eV_per_K=(np.array(thermal.entropy) * KJ_PER_MOL / 1000).tolist(),
        heat_capacities_eV_per_K=(np.array(thermal.heat_capacity) * KJ_PER_MOL / 1000).tolist(),
        zero_point_energy_eV=float(thermal.zero_point_energy) * KJ_PER_MOL,
        lowest_THz=lowest,
        lowest_qpoint=where,
        is_stable=lowest >= IMAGINARY_THZ,
        phonopy_yaml=lattice.yaml,
        force_constants_eV_per_A2=(
            lattice.force_constants.tolist() if options.force_constants else None
        ),
    )


def _lowest(bands: Bands, qpoints: Floats, frequencies: Floats) -> tuple[float, list[float]]:
    """The lowest frequency in THz, and where it is."""
    all_points = np.concatenate([bands.qpoints, qpoints])
    lowest = np.concatenate([bands.frequencies, frequencies]).min(axis=1)
    at = int(np.argmin(lowest))
    return float(lowest[at]), all_points[at].tolist()


def _imaginary(value: PhononsValue) -> Iterator[AnswerWarning]:
    if value.is_stable:
        return
    where = ", ".join(f"{part:.3g}" for part in value.lowest_qpoint)
    yield AnswerWarning(
        "imaginary_frequencies",
        f"the lowest frequency is {-value.lowest_THz:.3g}i THz, at q = ({where}): the crystal gains "
        "energy by that mode, and is no minimum in a cell that holds it; imaginary modes are in no sum. "
        "Relax further, or a supercell along the mode, or ask for a larger supercell",
    )


def _narrow(
    asking: Asking, relaxed: Relaxed, multiples: tuple[int, int, int]
) -> Iterator[AnswerWarning]:
    """A warning where an atom feels another one and its image."""
    width, cutoff = width_of(relaxed.structure, multiples), asking.potential.card.cutoff
    if width < 2 * cutoff - 1e-6:
        yield AnswerWarning(
            "supercell_narrow",
            f"the supercell is {width:.3g} Å wide where it is narrowest, and the model's cutoff is "
            f"{cutoff:.3g} Å: force constants of an atom and its images are one; state "
            f"supercell_length_A from {2 * cutoff:.3g}",
        )


PHONONS = TaskKind(
    "phonons",
    "phonons of crystals: bands, density of states, thermal properties, imaginary modes",
    PhononsOptions,
    PhononsValue,
    run,
    check_movable,
)
