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

from ase.io import write

from app.store.store import ModelStore
from benchmarks.structures import crystal, unit_cell
from benchmarks.timing import print_header, print_row


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
    cell = unit_cell(ModelStore(options.store).load(options.model).card.elements)
    print_header(["model", "atoms", "input MB", "peak MB", "CPU s", "CPU ms an atom"])
    with tempfile.TemporaryDirectory() as folder:
        for atoms in options.atoms:
            path, structure = Path(folder) / f"{atoms}.xyz", crystal(cell, atoms)
            write(path, structure, format="extxyz")
            peak, cpu = predicted(path, options)
            count, size = len(structure), f"{path.stat().st_size / 1e6:.1f}"
            each = f"{1e3 * cpu / count:.2f}"
            print_row([options.model, count, size, f"{peak:.0f}", f"{cpu:.1f}", each])


if __name__ == "__main__":
    main()
