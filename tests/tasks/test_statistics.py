"""Statistical thermodynamics, against ASE's."""

import numpy as np
import pytest
from ase import units
from ase.build import molecule
from ase.thermochemistry import HarmonicThermo, IdealGasThermo, RRHOMode

from app.tasks.thermo.rigid import Rotor
from app.tasks.thermo.statistics import (
    AVERAGE_MOMENT,
    damped_entropy,
    electrons,
    rotation,
    translation,
    vibration,
)

QUANTA = units.invcm * np.array([35.0, 110.0, 900.0, 1600.0, 3100.0, 3200.0])
TEMPERATURE, PRESSURE = 350.0, 2e5


def test_vibrations() -> None:
    part = vibration(QUANTA, TEMPERATURE)
    ase = HarmonicThermo(QUANTA)
    internal = ase.get_internal_energy(TEMPERATURE, verbose=False)
    assert 0.5 * QUANTA.sum() + part.energy == pytest.approx(internal, rel=1e-12)
    assert part.entropy == pytest.approx(ase.get_entropy(TEMPERATURE, verbose=False), rel=1e-12)
    warmer = (
        vibration(QUANTA, TEMPERATURE + 0.01).energy - vibration(QUANTA, TEMPERATURE - 0.01).energy
    )
    assert part.heat_capacity == pytest.approx(warmer / 0.02, rel=1e-6)


def test_that_are_cold() -> None:
    part = vibration(QUANTA, 1.0)
    assert part.energy == pytest.approx(0, abs=1e-12)
    assert part.entropy == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "geometry", "number"),
    [("CH3OH", "nonlinear", 1), ("C2H2", "linear", 2), ("O2", "linear", 2), ("Ar", "monatomic", 1)],
)
def test_gases(name: str, geometry: str, number: int) -> None:
    atoms = molecule(name) if name != "Ar" else molecule("Si")
    spin = 3 if name == "O2" else 1
    needed = {"nonlinear": 3 * len(atoms) - 6, "linear": 3 * len(atoms) - 5, "monatomic": 0}
    modes = np.resize(QUANTA, needed[geometry])
    ase = IdealGasThermo(
        modes,
        geometry,
        atoms=atoms,
        symmetrynumber=number,
        spin=(spin - 1) / 2,
        potentialenergy=-3.0,
    )
    rotor = Rotor.of(atoms.positions, atoms.get_masses())
    parts = [
        vibration(modes, TEMPERATURE),
        translation(atoms.get_masses().sum(), TEMPERATURE, PRESSURE),
        rotation(rotor, number, TEMPERATURE),
        electrons(spin),
    ]
    entropy = sum(part.entropy for part in parts)
    enthalpy = -3.0 + 0.5 * modes.sum() + sum(p.energy for p in parts) + units.kB * TEMPERATURE
    assert entropy == pytest.approx(
        ase.get_entropy(TEMPERATURE, PRESSURE, verbose=False), rel=1e-10
    )
    assert enthalpy == pytest.approx(ase.get_enthalpy(TEMPERATURE, verbose=False), rel=1e-12)


def test_low_modes_become_rotors() -> None:
    moment = AVERAGE_MOMENT / (units._amu * 1e-20)  # ASE takes the molecule's, Grimme this one
    ase = [RRHOMode(quantum, moment, tau=100.0) for quantum in QUANTA]
    assert damped_entropy(QUANTA, TEMPERATURE, 100.0) == pytest.approx(
        sum(mode.get_entropy(TEMPERATURE, contributions=False) for mode in ase), rel=1e-9
    )
    high = QUANTA[2:]
    harmonic = vibration(high, TEMPERATURE).entropy
    assert damped_entropy(high, TEMPERATURE, 100.0) == pytest.approx(harmonic, rel=1e-3)
