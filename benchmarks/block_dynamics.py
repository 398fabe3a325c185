"""Velocity Verlet of argon over worker processes, by ASE: energy kept, and time of a step.

    python -m benchmarks.block_dynamics --atoms 32000 --steps 20 --workers 2

A face-centred cubic crystal, steps of 4 fs. The drift is that of a line through the total energy
after the first quarter of the steps; processor time is that of the process and its workers, without
the start.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from ase.md.verlet import VelocityVerlet
from ase.units import fs, kB

from app.machine import machine
from benchmarks.large import crystal
from benchmarks.timing import print_header, print_row
from equipot import EquipotCalculator

STEP, KELVIN = 4.0, 80.0
"""fs; and K of the first velocities, half of which becomes potential energy."""


def processor_seconds() -> float:
    """Of this process and those that it has started."""
    tasks = Path("/proc/self/task").glob("*/children")
    ticks = 0
    for process in " ".join(task.read_text() for task in tasks).split():
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="lennard-jones")
    parser.add_argument("--store", type=Path, default=Path("model_store"))
    parser.add_argument("--atoms", type=int, default=32_000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    atoms = crystal(options.model, options.atoms)
    random = np.random.default_rng(0).normal(size=(len(atoms), 3))
    atoms.set_momenta(random * np.sqrt(atoms.get_masses()[:, None] * kB * KELVIN))
    atoms.calc = EquipotCalculator(
        options.model, options.store, threads=options.workers, workers=options.workers
    )
    atoms.get_forces()
    began, before = time.perf_counter(), processor_seconds()
    energies = []
    dynamics = VelocityVerlet(atoms, STEP * fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()), interval=1)
    dynamics.run(options.steps)
    wall, cpu = time.perf_counter() - began, processor_seconds() - before
    late = np.array(energies[len(energies) // 4 :]) / len(atoms)
    slope = np.polyfit(np.arange(len(late)) * STEP * 1e-3, late, 1)[0]
    each = 1e6 / len(atoms) / options.steps
    print(f"{machine()}\n")
    names = ["model", "atoms", "workers", "steps", "K", "CPU µs an atom a step", "wall µs"]
    print_header([*names, "spread, µeV an atom", "drift, µeV an atom a ps"])
    cells = [options.model, f"{len(atoms):,}", options.workers, options.steps]
    cells += [f"{atoms.get_temperature():.1f}", f"{cpu * each:.1f}", f"{wall * each:.1f}"]
    print_row([*cells, f"{1e6 * np.ptp(late):.2f}", f"{1e6 * slope:.2f}"])


if __name__ == "__main__":
    main()
