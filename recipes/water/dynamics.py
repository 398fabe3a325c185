"""Molecular dynamics in parts, each a file, so that a run that was killed goes on where its last
part ended.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.velocitydistribution import Stationary
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray

from equipot import EquipotError

Array = NDArray[np.float64]

PART = 500.0  # fs
HOTTEST = 5.0  # temperatures of the thermostat; what is hotter has exploded


class Unstable(Exception):
    """A trajectory that cannot go on; the message says where and why."""


class Trajectory(NamedTuple):
    """Frames at equal intervals.

    Attributes:
        positions: (F, N, 3), Å, not wrapped into the cell.
        potential: (F,), eV.
        kinetic: (F,), eV.
        seconds: (P,), wall time of each part.
    """

    positions: Array
    potential: Array
    kinetic: Array
    seconds: Array


@dataclass(frozen=True)
class Dynamics:
    """How atoms are moved, and where the parts are kept.

    Attributes:
        folder: of the parts.
        step: fs.
        every: steps from frame to frame.
        temperature: K.
        friction: 1/fs, of the Langevin thermostat.
        seed: decides all random numbers, with the number of the part.
    """

    folder: Path
    step: float
    every: int
    temperature: float
    friction: float
    seed: int = 0

    def run(self, atoms: Atoms, name: str, frames: int) -> None:
        """Sample the parts that are not there yet; the atoms are then at the end of the last part.

        Args:
            atoms: with calculator, and with momenta unless a thermostat is to give them.
            name: `nvt`, with thermostat, or `nve`, without, and without motion of the centre of
                mass.
            frames: of all parts.

        Raises:
            Unstable: too hot, or a geometry that the model cannot answer for.
        """
        size = max(1, round(PART / self.step / self.every))
        for part, first in enumerate(range(0, frames, size)):
            path = self.folder / f"{name}-{part:03}.npz"
            if not path.exists():
                rng = np.random.default_rng([self.seed, part])
                if part == 0:
                    self._prepare(atoms, name, rng)
                self._write(
                    path, atoms, self._dynamics(atoms, name, rng), first, min(size, frames - first)
                )
            with np.load(path) as file:
                atoms.positions = file["positions"][-1]
                atoms.set_momenta(file["momenta"])

    def parts(self, name: str) -> Iterator[dict[str, Array]]:
        """The parts that are there."""
        for path in sorted(self.folder.glob(f"{name}-*.npz")):
            with np.load(path) as file:
                yield dict(file)

    def trajectory(self, name: str) -> Trajectory | None:
        """All parts that are there, None if there are none."""
        parts = list(self.parts(name))
        if not parts:
            return None
        columns = {key: np.concatenate([part[key] for part in parts]) for key in Trajectory._fields}
        return Trajectory(**columns)

    def _prepare(self, atoms: Atoms, name: str, rng: np.random.Generator) -> None:
        if name == "nve":
            Stationary(atoms)
            return
        deviations = np.sqrt(atoms.get_masses() * units.kB * self.temperature)
        atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * deviations[:, None])

    def _dynamics(self, atoms: Atoms, name: str, rng: np.random.Generator) -> MolecularDynamics:
        if name == "nve":
            return VelocityVerlet(atoms, self.step * units.fs)
        friction = self.friction / units.fs
        return Langevin(
            atoms,
            self.step * units.fs,
            temperature_K=self.temperature,
            friction=friction,
            fixcm=False,
            rng=rng,
        )

    def _write(
        self, path: Path, atoms: Atoms, dynamics: MolecularDynamics, first: int, frames: int
    ) -> None:
        positions, potential, kinetic, start = [], [], [], time.perf_counter()
        for frame in range(first, first + frames):
            try:
                dynamics.run(self.every)
                energy = atoms.get_potential_energy()
            except EquipotError as error:
                raise Unstable(f"{path.stem}, before frame {frame}: {error}") from error
            if not atoms.get_temperature() < HOTTEST * self.temperature:  # true for NaN, too
                raise Unstable(f"{path.stem}, frame {frame}: {atoms.get_temperature():.0f} K")
            positions.append(atoms.positions.copy())
            potential.append(energy)
            kinetic.append(atoms.get_kinetic_energy())
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(
                file,
                positions=np.array(positions),
                potential=np.array(potential),
                kinetic=np.array(kinetic),
                momenta=atoms.get_momenta(),
                seconds=np.array([time.perf_counter() - start]),
            )
        os.replace(partial, path)
