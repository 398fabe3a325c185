"""What a distilled model is worth: errors against its teacher, time, and a trajectory of its own."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.io import read
from ase.md.verlet import VelocityVerlet
from pydantic import BaseModel, ConfigDict

from app.labelling.label import Reference
from app.training.distill.sampling import heat

REPEATS = 3


class DistillationReport(BaseModel):
    """A distilled model beside its teacher.

    Attributes:
        frames: labelled by the teacher, from the model's own dynamics, that it has not learnt.
        energy_per_atom_mae: eV/atom, error against the teacher.
        forces_mae: eV/Å, of components.
        forces_rms: eV/Å, root mean square component of the teacher's forces on these frames.
        teacher_seconds: of energy and forces of all structures that were given, one by one; median.
        student_seconds: the same of the model, on one thread.
        drift: eV/atom/ps, slope of the total energy of the first structure without a thermostat.
        picoseconds: over which that was looked at.
    """

    model_config = ConfigDict(frozen=True)

    frames: int
    energy_per_atom_mae: float
    forces_mae: float
    forces_rms: float
    teacher_seconds: float
    student_seconds: float
    drift: float
    picoseconds: float

    @property
    def lines(self) -> tuple[str, ...]:
        """For people."""
        ratio = self.teacher_seconds / self.student_seconds
        return (
            f"against the teacher, on {self.frames} frames of its own dynamics: energies "
            f"{1000 * self.energy_per_atom_mae:.3g} meV/atom, forces {1000 * self.forces_mae:.3g} "
            f"meV/Å (MAE; root mean square force {1000 * self.forces_rms:.3g})",
            f"energy and forces of the given structures: teacher {self.teacher_seconds:.3g} s, "
            f"model {self.student_seconds:.3g} s, {ratio:.3g} times as fast",
            f"energy without a thermostat: {1000 * self.drift:+.3g} meV/atom/ps over "
            f"{self.picoseconds:g} ps",
        )


def compare(
    student: Calculator,
    teacher: Reference,
    held_out: Path,
    structures: Sequence[Atoms],
    temperature: float,
    timestep: float,
    picoseconds: float = 1.0,
) -> DistillationReport:
    """Measure a distilled model.

    Args:
        student: the model.
        teacher: that labelled.
        held_out: frames with its labels.
        structures: that were given.
        temperature: K, of the velocities in the first structure.
        timestep: fs.
        picoseconds: of dynamics.
    """
    labelled = read(held_out, index=":")
    energies, forces, sizes = [], [], []
    for atoms in labelled:
        energies.append((predicted(student, atoms)[0] - atoms.get_potential_energy()) / len(atoms))
        forces.append(student.results["forces"] - atoms.get_forces())
        sizes.append(atoms.get_forces())
    return DistillationReport(
        frames=len(labelled),
        energy_per_atom_mae=float(np.abs(energies).mean()),
        forces_mae=float(np.abs(np.concatenate(forces)).mean()),
        forces_rms=float(np.sqrt((np.concatenate(sizes) ** 2).mean())),
        teacher_seconds=_seconds(teacher.build(), structures),
        student_seconds=_seconds(student, structures),
        drift=drift(student, structures[0], temperature, timestep, picoseconds),
        picoseconds=picoseconds,
    )


def predicted(calculator: Calculator, atoms: Atoms) -> tuple[float, np.ndarray]:
    """Energy, eV, and (N, 3) forces, eV/Å, anew."""
    copy = atoms.copy()
    calculator.reset()
    copy.calc = calculator
    forces = copy.get_forces()
    return copy.get_potential_energy(), forces


def drift(
    calculator: Calculator, atoms: Atoms, temperature: float, timestep: float, picoseconds: float
) -> float:
    """eV/atom/ps, slope of the total energy without a thermostat."""
    moving = atoms.copy()
    moving.calc = calculator
    heat(moving, temperature, np.random.default_rng(0))
    dynamics = VelocityVerlet(moving, timestep * units.fs)
    totals: list[float] = []
    dynamics.attach(lambda: totals.append(moving.get_total_energy()), interval=10)
    dynamics.run(round(1000 * picoseconds / timestep))
    times = np.arange(len(totals)) * 10 * timestep / 1000
    return float(np.polynomial.Polynomial.fit(times, totals, 1).convert().coef[1]) / len(atoms)


def _seconds(calculator: Calculator, structures: Sequence[Atoms]) -> float:
    """Of energy and forces of all structures, one by one; the median of some rounds."""
    rounds = []
    for number in range(REPEATS + 1):  # the first one warms up
        began = time.perf_counter()
        for atoms in structures:
            predicted(calculator, atoms)
        if number:
            rounds.append(time.perf_counter() - began)
    return median(rounds)
