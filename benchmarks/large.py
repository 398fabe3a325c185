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


def measure(model: str, store: Path, atoms: int, folder: Path) -> tuple[int, float, float, float]:
    """Atoms, MB of the input file, peak resident MB, processor seconds."""
    path, answer = folder / f"{atoms}.xyz", folder / "answer.xyz"
    structure = crystal(model, atoms)
    write(path, structure, format="extxyz")
    command = [
        sys.executable,
        "-m",
        "app.cli.main",
        "predict",
        str(path),
        "-o",
        str(answer),
        "--model",
        model,
    ]
    process = subprocess.Popen([*command, "--model-store", str(store), "--threads", "1"])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"predict ended with status {status}")
    return (
        len(structure),
        path.stat().st_size / 1e6,
        usage.ru_maxrss * 1024 / 1e6,
        usage.ru_utime + usage.ru_stime,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="organic-xtb")
    parser.add_argument("--store", type=Path, default=Path("model_store"))
    parser.add_argument("--atoms", type=int, nargs="+", default=[1000, 10_000, 100_000])
    options = parser.parse_args()
    print(
        "| model | atoms | input MB | peak MB | CPU s | CPU ms an atom |\n|---|---:|---:|---:|---:|---:|"
    )
    with tempfile.TemporaryDirectory() as folder:
        for atoms in options.atoms:
            count, size, peak, cpu = measure(options.model, options.store, atoms, Path(folder))
            print(
                f"| {options.model} | {count} | {size:.1f} | {peak:.0f} | {cpu:.1f} | {1e3 * cpu / count:.2f} |"
            )


if __name__ == "__main__":
    main()
