"""`thermo`: thermochemistry of molecules in an ideal gas, and of what is bound, as oscillators."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
from ase import units
from ase.data import atomic_masses
from pydantic import Field

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.errors import InvalidStructure
from app.relax.bonds import molecules
from app.tasks.asking import Asking
from app.tasks.kind import Done, TaskKind, TaskValue
from app.tasks.thermo.gas import Gas
from app.tasks.thermo.hessian import Hessian, check_copies, hessian
from app.tasks.thermo.modes import Modes, modes_of
from app.tasks.thermo.options import ThermoOptions
from app.tasks.thermo.rigid import rigid_motions
from app.tasks.thermo.statistics import KB, damped_entropy, vibration

TOLD = 5
"""Modes that a warning names."""
COLD = 2.0
"""Times the largest rotational temperature, below which it is told that a rotor is not classical."""
UNEVEN = 1.0
"""eV/Å² by which the Hessian may be from symmetric; a single bond has some 30."""


class EntropyParts(TaskValue):
    """What each kind of motion adds to the entropy, in eV/K."""

    vibration: float
    translation: float | None = Field(default=None, description="of an ideal gas")
    rotation: float | None = Field(default=None, description="of an ideal gas")
    electrons: float | None = Field(default=None, description="of an ideal gas, by its spin")


class ThermoValue(TaskValue):
    """Thermochemistry of the minimum that `relaxed` has. Imaginary modes are not in it."""

    treatment: Literal["ideal_gas", "harmonic"]
    temperature_K: float
    pressure_Pa: float | None = Field(default=None, description="of an ideal gas")
    energy_eV: float = Field(description="of the minimum, without vibrations")
    zero_point_energy_eV: float
    internal_energy_eV: float = Field(description="U")
    enthalpy_eV: float = Field(description="H; of `harmonic` U, since pV is left out")
    entropy_eV_per_K: float = Field(description="S")
    gibbs_energy_eV: float = Field(description="G = H − TS; of `harmonic` Helmholtz's F = U − TS")
    heat_capacity_eV_per_K: float = Field(
        description="at constant pressure; of `harmonic` at constant volume"
    )
    entropy_parts_eV_per_K: EntropyParts
    frequencies_per_cm: list[float] = Field(
        description="(M) cm⁻¹, the lowest first; imaginary ones are negative"
    )
    reduced_masses_amu: list[float] = Field(description="(M) of the same modes")
    n_imaginary: int = Field(description="how many of them are imaginary")
    low_modes: Literal["harmonic", "quasi_rrho"]
    symmetry_number: int | None = Field(default=None, description="of an ideal gas")
    multiplicity: int | None = Field(default=None, description="2S+1, of an ideal gas")
    is_linear: bool | None = Field(
        default=None, description="of an ideal gas; false of a single atom"
    )
    rotational_constants_per_cm: list[float] | None = Field(
        default=None,
        description="cm⁻¹, of an ideal gas: 3, 1 of a linear molecule, none of an atom",
    )
    hessian_asymmetry_eV_per_A2: float = Field(
        description="largest difference between elements that should be the same; what is left of "
        "the model's rounding"
    )
    displaced_copies: int = Field(description="that the Hessian took")
    normal_modes: list[list[list[float]]] | None = Field(
        default=None, description="(M, N, 3), each of length 1; where asked for"
    )
    hessian_eV_per_A2: list[list[float]] | None = Field(
        default=None, description="(3F, 3F), by the F atoms that may move; where asked for"
    )


async def run(asking: Asking, structure: Structure, options: ThermoOptions) -> Done:
    """Relax a structure and find its vibrations.

    Raises:
        InvalidStructure: none of its atoms may move, or it is no gas and to be one.
        StructureTooLarge: its Hessian takes more evaluations than allowed.
        NotConverged: its relaxation did not end in a minimum.
    """
    free = np.ones(len(structure), dtype=bool) if structure.fixed is None else ~structure.fixed
    is_gas = _is_gas(structure, options)
    check_copies(asking, free)
    relaxed, doubts = await asking.minimum(structure, options.relaxation, asking.course)
    minimum = relaxed.structure
    masses = atomic_masses[minimum.numbers]
    rigid = rigid_motions(minimum, masses, free)
    curvature = await hessian(asking, minimum, free, rigid, options.displacement_A)
    modes = modes_of(curvature.values, masses[free], rigid)
    gas = Gas.of(minimum, masses, options) if is_gas else None
    value = _value(relaxed.prediction.energy, modes, gas, curvature, options)
    uneven = _uneven(curvature.asymmetry, options.displacement_A)
    loose = _loose(minimum, gas, options) if gas else ()
    return Done(value, relaxed, (*doubts, *_imaginary(modes), *uneven, *loose))


def _is_gas(structure: Structure, options: ThermoOptions) -> bool:
    """Whether it is to be taken as an ideal gas.

    Raises:
        InvalidStructure: it cannot be, or nothing of it may move.
    """
    bound = ""
    if structure.pbc.any():
        bound = "the structure repeats (pbc)"
    elif structure.fixed is not None and structure.fixed.any():
        bound = "the structure has fixed atoms"
    if structure.fixed is not None and structure.fixed.all():
        raise InvalidStructure("fixed: all atoms are, so that nothing vibrates; free some of them")
    if bound and options.treatment == "ideal_gas":
        raise InvalidStructure(f"{bound}, and is no ideal gas; ask for treatment harmonic")
    if bound and (of_gases := options.of_gases):
        raise InvalidStructure(f"{bound}, and is no ideal gas: leave {of_gases[0]} out")
    return not bound and options.treatment != "harmonic"


def _value(
    energy: float, modes: Modes, gas: Gas | None, curvature: Hessian, options: ThermoOptions
) -> ThermoValue:
    """All that is told, from the energy of a minimum in eV and its modes."""
    temperature, real = options.temperature_K, modes.quanta[modes.is_real]
    vibrations = vibration(real, temperature)
    if options.low_modes == "quasi_rrho":
        entropy = damped_entropy(real, temperature, options.rotor_cutoff_per_cm)
        vibrations = replace(vibrations, entropy=entropy)
    parts = {"vibration": vibrations, **(gas.parts(options) if gas else {})}
    zero_point = 0.5 * float(real.sum())
    internal = energy + zero_point + sum(part.energy for part in parts.values())
    expansion = KB if gas else 0.0
    enthalpy = internal + expansion * temperature
    entropy = sum(part.entropy for part in parts.values())
    return ThermoValue(
        treatment="ideal_gas" if gas else "harmonic",
        temperature_K=temperature,
        pressure_Pa=options.pressure_Pa if gas else None,
        energy_eV=energy,
        zero_point_energy_eV=zero_point,
        internal_energy_eV=internal,
        enthalpy_eV=enthalpy,
        entropy_eV_per_K=entropy,
        gibbs_energy_eV=enthalpy - temperature * entropy,
        heat_capacity_eV_per_K=expansion + sum(part.heat_capacity for part in parts.values()),
        entropy_parts_eV_per_K=EntropyParts(**{k: part.entropy for k, part in parts.items()}),
        frequencies_per_cm=modes.wavenumbers.tolist(),
        reduced_masses_amu=modes.masses.tolist(),
        n_imaginary=int((~modes.is_real).sum()),
        low_modes=options.low_modes,
        symmetry_number=gas.symmetry_number if gas else None,
        multiplicity=gas.multiplicity if gas else None,
        is_linear=gas.rotor.is_linear if gas else None,
        rotational_constants_per_cm=gas.rotor.constants if gas else None,
        hessian_asymmetry_eV_per_A2=curvature.asymmetry,
        displaced_copies=curvature.copies,
        normal_modes=modes.shapes.tolist() if options.normal_modes else None,
        hessian_eV_per_A2=curvature.values.tolist() if options.hessian else None,
    )


def _loose(minimum: Structure, gas: Gas, options: ThermoOptions) -> Iterator[AnswerWarning]:
    """Warnings where an ideal gas of rigid rotors is a poor picture."""
    count = int(molecules(minimum).max()) + 1
    if count > 1:
        yield AnswerWarning(
            "separate_molecules",
            f"{count} molecules that no bond joins are taken as one rigid rotor of an ideal gas: its "
            "G is that of a complex, and not of molecules that move by themselves, each of which has "
            "to be sent alone; low modes between them are no harmonic vibrations (low_modes)",
        )
    quantum = max(gas.rotor.constants, default=0.0) * units.invcm / KB
    if options.temperature_K < COLD * quantum:
        yield AnswerWarning(
            "cold_rotor",
            f"at {options.temperature_K:g} K rotations are no classical ones: a quantum is "
            f"{quantum:.3g} K, and rotational entropy and energy are only good far above "
            f"(temperature_K from {COLD * quantum:.3g})",
        )


def _uneven(asymmetry: float, displacement: float) -> tuple[AnswerWarning, ...]:
    """A warning where forces change so unevenly that their differences are no second derivatives."""
    if asymmetry <= UNEVEN:
        return ()
    return (
        AnswerWarning(
            "uneven_forces",
            f"the Hessian is {asymmetry:.3g} eV/Å² from symmetric (usual: below {UNEVEN:g}): the "
            f"model's forces change unevenly within {displacement:g} Å, so that frequencies and what "
            "follows from them depend on displacement_A; compare a larger one, or another model",
        ),
    )


def _imaginary(modes: Modes) -> tuple[AnswerWarning, ...]:
    """A warning where the minimum is none in all directions."""
    imaginary = modes.wavenumbers[~modes.is_real].tolist()
    if not imaginary:
        return ()
    told = ", ".join(f"{-wavenumber:.1f}i" for wavenumber in imaginary[:TOLD])
    more = f" and {len(imaginary) - TOLD} more" if len(imaginary) > TOLD else ""
    return (
        AnswerWarning(
            "imaginary_frequencies",
            f"{len(imaginary)} imaginary: {told}{more} cm⁻¹; the structure is no minimum along these "
            "modes, which are left out of all sums; begin with one that is less symmetric, or relax "
            "further (fmax_eV_per_A)",
        ),
    )


THERMO = TaskKind(
    "thermo",
    "frequencies, zero-point energy, U, H, S and G: ideal gas, or harmonic",
    ThermoOptions,
    ThermoValue,
    run,
)
