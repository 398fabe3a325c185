"""Statistical thermodynamics of harmonic vibrations, and of a rigid rotor in an ideal gas.

D. A. McQuarrie, Statistical Mechanics (2000), chapters 5 and 6; what is done to low modes, S. Grimme,
Chem. Eur. J. 18, 9955 (2012).
"""

from dataclasses import dataclass

import numpy as np
from ase import units

from app.atoms.structure import Floats
from app.tasks.thermo.rigid import Rotor

KB = units.kB
"""eV/K."""
PLANCK = 2.0 * np.pi * units._hbar
AMU, ANGSTROM = units._amu, 1e-10
AVERAGE_MOMENT = 1e-44
"""kg m², which bounds the moment of a rotor in the place of a low mode (Grimme 2012)."""
GRIMME = 4
"""Exponent of the damping function (the same)."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one kind of motion adds.

    Attributes:
        energy: eV, without what is left at 0 K.
        entropy: eV/K.
        heat_capacity: eV/K, at constant volume.
    """

    energy: float = 0.0
    entropy: float = 0.0
    heat_capacity: float = 0.0


def vibration(quanta: Floats, temperature: float) -> Part:
    """Of harmonic modes.

    Args:
        quanta: (M,), eV, all above 0.
        temperature: K.
    """
    x = quanta / (KB * temperature)
    occupied = np.exp(-x) / -np.expm1(-x)
    energy = quanta @ occupied
    entropy = KB * float((x * occupied - np.log1p(-np.exp(-x))).sum())
    capacity = KB * float((x * x * occupied * (1.0 + occupied)).sum())
    return Part(float(energy), entropy, capacity)


def damped_entropy(quanta: Floats, temperature: float, cutoff: float) -> float:
    """eV/K, of modes that become free rotors below a cutoff (quasi-RRHO).

    Args:
        quanta: (M,), eV, all above 0.
        temperature: K.
        cutoff: cm⁻¹, where a mode is half a rotor.
    """
    harmonic = np.array([vibration(quantum, temperature).entropy for quantum in quanta[:, None]])
    frequencies = quanta * units._e / PLANCK
    moments = PLANCK / (8.0 * np.pi**2 * frequencies)
    moments = moments * AVERAGE_MOMENT / (moments + AVERAGE_MOMENT)
    thermal = KB * temperature * units._e
    rotor = KB * (0.5 + 0.5 * np.log(8.0 * np.pi**3 * moments * thermal / PLANCK**2))
    weight = 1.0 / (1.0 + (cutoff * units.invcm / quanta) ** GRIMME)
    return float((weight * harmonic + (1.0 - weight) * rotor).sum())


def translation(mass: float, temperature: float, pressure: float) -> Part:
    """Of an ideal gas.

    Args:
        mass: amu, of a molecule.
        temperature: K.
        pressure: Pa.
    """
    thermal = KB * temperature * units._e
    volume = thermal / pressure
    states = (2.0 * np.pi * mass * AMU * thermal / PLANCK**2) ** 1.5 * volume
    kt = KB * temperature
    return Part(1.5 * kt, KB * (float(np.log(states)) + 2.5), 1.5 * KB)


def rotation(rotor: Rotor, symmetry_number: int, temperature: float) -> Part:
    """Of a rigid rotor in the classical limit; nothing of a single atom.

    Args:
        rotor: the molecule.
        symmetry_number: rotations that lead it onto itself.
        temperature: K.
    """
    moments = rotor.moments * AMU * ANGSTROM**2
    thermal = 8.0 * np.pi**2 * KB * temperature * units._e / PLANCK**2
    kt = KB * temperature
    if not rotor.moments.any():
        return Part()
    if rotor.is_linear:
        states = thermal * moments[-1] / symmetry_number
        return Part(kt, KB * (float(np.log(states)) + 1.0), KB)
    states = np.sqrt(np.pi * (thermal * moments).prod()) / symmetry_number
    return Part(1.5 * kt, KB * (float(np.log(states)) + 1.5), 1.5 * KB)


def electrons(multiplicity: int) -> Part:
    """Of a spin whose states are alike."""
    return Part(entropy=KB * float(np.log(multiplicity)))
