"""Memory and processor time of `equipot predict` on crystals of growing size, one thread.

    python -m benchmarks.large --model organic-xtb --atoms 1000 10000 100000

A crystal of molecules for models that know H, C, N and O (a lattice of distorted methanes), a
face-centred cubic one for noble gases. Each size is a process of its own; its peak memory is what
the system reports at its end.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import write

from benchmarks.timing import print_header, print_row

MOLECULE_SPACING = 4.2
"""Å between methanes on a cubic lattice: as dense as the solid."""


def crystal(model: str, atoms: int) -> Atoms:
    """At least so many atoms, displaced by 0.05 Å."""
    if model == "lennard-jones":
        cell = bulk("Ar", "fcc", a=5.26, cubic=True)
    else:
        cell = molecule("CH4", cell=[MOLECULE_SPACING] * 3, pbc=True)
    repeats = int(np.ceil((atoms / len(cell)) ** (1 / 3)))
    whole = cell * (repeats, repeats, repeats)
    whole.positions += np.random.default_rng(0).normal(0, 0.05, (len(whole), 3))
    return whole


def predicted(path: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Peak resident MB and processor seconds of a prediction for a file."""
    command = [sys.executable, "-m", "app.cli.main", "predict", str(path), "--threads", "1"]
    command += ["--output", str(path.with_suffix(".answer.xyz")), "--model", options.model]
    process = subprocess.Popen([*command, "--model-store", str(options.store)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"predict ended with status {status}")
    return usage.ru_maxrss * 1024 / 1e6, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="organic-xtb")
    parser.add_argument("--store", type=Path, default=Path("model_store"))
    parser.add_argument("--atoms", type=int, nargs="+", default=[1000, 10_000, 100_000])
    options = parser.parse_args()
    print_header(["model", "atoms", "input MB", "peak MB", "CPU s", "CPU ms an atom"])
    with tempfile.TemporaryDirectory() as folder:
        for atoms in options.atoms:
            path, structure = Path(folder) / f"{atoms}.xyz", crystal(options.model, atoms)
            write(path, structure, format="extxyz")
            peak, cpu = predicted(path, options)
            count, size = len(structure), f"{path.stat().st_size / 1e6:.1f}"
            each = f"{1e3 * cpu / count:.2f}"
            print_row([options.model, count, size, f"{peak:.0f}", f"{cpu:.1f}", each])


if __name__ == "__main__":
    main()
