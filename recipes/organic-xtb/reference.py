"""GFN2-xTB itself, for the share of molecules that are relaxed and followed in time by it."""

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.optimize import BFGS
from force_field import Array
from tblite.ase import TBLite

CALCULATOR = "tblite.ase:TBLite"
OPTIONS = {"method": "GFN2-xTB", "verbosity": 0, "cache_api": False}
FMAX = 0.05  # eV/Å, where a relaxation ends
STEPS = 60
TIMESTEP, FRICTION = 1.0, 0.02  # fs, 1/fs
FRAMES, INTERVAL = 3, 20  # of a trajectory, and steps between them


def gfn2(numbers: list[int], positions: Array, charge: int) -> Atoms:
    """Atoms with a calculator that keeps its density from step to step."""
    return Atoms(
        numbers, positions, calculator=TBLite(**OPTIONS | {"cache_api": True}, charge=charge)
    )


def relaxation(atoms: Atoms) -> list[tuple[str, Array]]:
    """Relax in place, by at most `STEPS` steps.

    Returns:
        Kind and positions (N, 3) in Å: two frames of the `path`, which are half and a tenth of the
        relaxation energy above its end, and the end, a `minimum` if it has converged.
    """
    path: list[tuple[float, Array]] = []
    optimizer = BFGS(atoms, logfile=None, maxstep=0.15)
    optimizer.attach(lambda: path.append((atoms.get_potential_energy(), atoms.positions.copy())))
    converged = optimizer.run(fmax=FMAX, steps=STEPS)
    energies = np.array([energy for energy, _ in path])
    depths = energies[-1] + np.array([0.5, 0.1]) * (energies[0] - energies[-1])
    steps = {int(np.abs(energies - depth).argmin()) for depth in depths} - {len(path) - 1}
    between = [("path", path[step][1]) for step in sorted(steps)]
    return [*between, ("minimum" if converged else "path", atoms.positions.copy())]


def thermalise(atoms: Atoms, temperature: float, rng: np.random.Generator) -> None:
    """Draw momenta from the Maxwell-Boltzmann distribution: normal, of variance m k T.

    Args:
        atoms: whose momenta are set.
        temperature: K.
        rng: random numbers.
    """
    deviation = np.sqrt(atoms.get_masses() * (units.kB * temperature))[:, None]
    atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * deviation)


def dynamics(atoms: Atoms, temperature: float, rng: np.random.Generator) -> list[Array]:
    """Positions (N, 3) in Å from a short Langevin trajectory.

    Args:
        temperature: K.
    """
    thermalise(atoms, temperature, rng)
    integrator = Langevin(
        atoms,
        TIMESTEP * units.fs,
        temperature_K=temperature,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=rng,
    )
    frames = []
    for _ in range(FRAMES):
        integrator.run(INTERVAL)
        frames.append(atoms.positions.copy())
    return frames
