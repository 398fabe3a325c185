"""Dynamics of an ensemble in parts, each a file: a run that was killed goes on after its last part."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.verlet import VelocityVerlet

from app.relax.bonds import changed_bonds
from recipes.measures.ensemble import Array, Ensemble

EVERY = 50.0  # fs from frame to frame
PART = 10  # frames
HOTTEST = 5.0  # temperatures of the thermostat; what is hotter has exploded


@dataclass(frozen=True)
class Trajectory:
    """How molecules are moved, and where the parts are kept.

    Attributes:
        folder: of the parts.
        step: fs.
        temperature: K.
        friction: 1/fs, of the Langevin thermostat.
        seed: decides all random numbers, with the number of the part.
    """

    folder: Path
    step: float
    temperature: float
    friction: float
    seed: int

    def run(self, ensemble: Ensemble, heating: float, picoseconds: float) -> None:
        """Sample the parts that are not there yet: so long with a thermostat, then without."""
        atoms = ensemble.together
        for name, length in (("nvt", heating), ("nve", picoseconds)):
            for part in range(round(1000 * length / EVERY / PART)):
                path = self.folder / f"{name}-{part:05}.npz"
                if not path.exists():
                    rng = np.random.default_rng([self.seed, part])
                    if (name, part) == ("nvt", 0):
                        self._heat(atoms, rng)
                    self._write(path, ensemble, atoms, self._integrator(atoms, name, rng))
                with np.load(path) as file:
                    atoms.positions = file["positions"]
                    atoms.set_momenta(file["momenta"])
                    ensemble.stopped |= {
                        int(k): v for k, v in json.loads(str(file["stopped"])).items()
                    }

    def totals(self, name: str) -> Array:
        """(F, B), eV, total energies of the molecules in the frames of all parts of a half."""
        parts = [part["total"] for part in self._parts(name)]
        return np.concatenate(parts) if parts else np.zeros((0, 1))

    def _parts(self, name: str) -> Iterator[dict[str, Any]]:
        for path in sorted(self.folder.glob(f"{name}-*.npz")):
            with np.load(path) as file:
                yield dict(file)

    def _heat(self, atoms: Atoms, rng: np.random.Generator) -> None:
        deviations = np.sqrt(atoms.get_masses() * units.kB * self.temperature)
        atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * deviations[:, None])

    def _integrator(self, atoms: Atoms, name: str, rng: np.random.Generator) -> MolecularDynamics:
        if name == "nve":
            return VelocityVerlet(atoms, self.step * units.fs)
        return Langevin(
            atoms,
            self.step * units.fs,
            temperature_K=self.temperature,
            friction=self.friction / units.fs,
            fixcm=False,
            rng=rng,
        )

    def _write(
        self, path: Path, ensemble: Ensemble, atoms: Atoms, integrator: MolecularDynamics
    ) -> None:
        totals = []
        for _ in range(PART):
            integrator.run(round(EVERY / self.step))
            atoms.get_potential_energy()
            kinetic = _kinetic(ensemble, atoms)
            self._watch(ensemble, atoms, kinetic)
            totals.append(ensemble.energies + kinetic)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(
                file,
                total=np.array(totals),
                positions=atoms.positions,
                momenta=atoms.get_momenta(),
                stopped=np.array(json.dumps(ensemble.stopped)),
            )
        os.replace(partial, path)

    def _watch(self, ensemble: Ensemble, atoms: Atoms, kinetic: Array) -> None:
        """Stop what has broken or exploded."""
        for index, structure in enumerate(ensemble.molecules):
            if index in ensemble.stopped:
                continue
            kelvin = kinetic[index] / (1.5 * len(structure) * units.kB)
            now = ensemble.at(atoms.positions)[index]
            if not kelvin < HOTTEST * self.temperature:  # true for NaN, too
                ensemble.stopped[index] = f"{kelvin:.0f} K"
            elif warnings := changed_bonds(structure, now):
                ensemble.stopped[index] = warnings[0].message
        momenta = atoms.get_momenta()
        for index in ensemble.stopped:
            momenta[ensemble.slices[index]] = 0.0
        atoms.set_momenta(momenta)


def _kinetic(ensemble: Ensemble, atoms: Atoms) -> Array:
    """(B,), eV."""
    energies = (atoms.get_momenta() ** 2).sum(axis=1) / (2 * atoms.get_masses())
    return np.array([energies[own].sum() for own in ensemble.slices])
