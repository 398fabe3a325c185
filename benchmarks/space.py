"""Energies and forces of crystals of up to 100 million atoms, streamed through one machine.

    python -m benchmarks.space --model lennard-jones --atoms 100000 1000000
    python -m benchmarks.space --model organic-xtb --atoms 100000
    python -m benchmarks.space --model lennard-jones --atoms 1000000 --workers 1 2

A lattice of distorted methanes for models that know H and C, face-centred cubic argon for those that
know it, and for others what `--cell` names a file of; made slab by slab, evaluated layer by layer, and
written as columns. Each row is a process of its own: wall time, processor time of it and its workers,
and the largest resident memory of one of them, as the system reports it at their end.
`--workers 0` computes in one process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms

from app.formats.slabs import Head, Slab
from app.machine import machine
from app.space.evaluator import Evaluator
from app.space.opening import Opening
from app.space.pool import Pool
from app.space.stream import stream
from benchmarks.structures import repeats_of, unit_cell
from benchmarks.timing import print_header, print_row

LARGEST = 100_000_000
"""Atoms to which the last row of each model is extrapolated."""


class Crystal:
    """A crystal with atoms displaced by 0.05 Å, that is nowhere as a whole.

    Args:
        cell: that is repeated.
        atoms: at least so many.
    """

    def __init__(self, cell: Atoms, atoms: int) -> None:
        self._cell = cell
        self._repeats = repeats_of(cell, atoms)
        count = len(cell) * self._repeats**3
        self.head = Head(count, np.array(cell.cell) * self._repeats, np.ones(3, dtype=bool))

    def slabs(self) -> Iterator[Slab]:
        """A layer of cells after the other."""
        n, vectors = self._repeats, np.array(self._cell.cell)
        plane = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), -1).reshape(-1, 2)
        for x in range(n):
            cells = np.column_stack([np.full(len(plane), x), plane]) @ vectors
            positions = (cells[:, None] + self._cell.positions).reshape(-1, 3)
            positions += np.random.default_rng(x).normal(0, 0.05, positions.shape)
            yield Slab(np.tile(self._cell.numbers, len(cells)), positions)


def measure(options: argparse.Namespace) -> None:
    """One measurement, in this process; a line of JSON."""
    opening = Opening(options.model, options.store, max(1, options.workers), "cpu", options.backend)
    backend = opening()
    card, free = backend.card, backend.is_strictly_local
    transport = Pool(opening, options.workers) if options.workers else Evaluator(backend)
    source = Crystal(unit_cell(card.elements, options.cell), options.atoms[0])
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        began = time.perf_counter()
        totals = stream(source, Path(folder) / "out.columns", card, free, transport)
        seconds = time.perf_counter() - began
    transport.close()
    count = source.head.n_atoms
    print(json.dumps({"atoms": count, "seconds": seconds, "energy": totals.energy / count}))


def row(options: argparse.Namespace, atoms: int, workers: int) -> tuple[int, float]:
    """Measure in a process of its own, and print; atoms and processor seconds."""
    command = [sys.executable, "-m", "benchmarks.space", "--one", "--model", options.model]
    command += ["--atoms", str(atoms), "--workers", str(workers), "--store", str(options.store)]
    command += ["--folder", str(options.folder), "--backend", options.backend]
    command += ["--cell", str(options.cell)] if options.cell else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"a measurement ended with status {process.returncode}")
    found, cpu = json.loads(said), usage.ru_utime + usage.ru_stime
    count, wall = found["atoms"], found["seconds"]
    cells = [options.model, f"{count:,}", workers, f"{wall:.0f}", f"{cpu:.0f}"]
    cells += [f"{1e6 * cpu / count:.1f}", f"{usage.ru_maxrss * 1024 / 1e6:.0f}"]
    print_row([*cells, f"{found['energy']:.6f}"])
    return count, cpu


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="lennard-jones")
    parser.add_argument("--store", type=Path, default=Path("model_store"))
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--cell", type=Path, help="file of a periodic cell that is repeated")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--atoms", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[0])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        options.workers = options.workers[0]
        measure(options)
        return
    print(f"{machine()}\n")
    names = ["model", "atoms", "workers", "wall s", "CPU s", "CPU µs an atom", "peak MB"]
    print_header([*names, "eV an atom"])
    for workers in options.workers:
        measured = [row(options, atoms, workers) for atoms in options.atoms]
    count, cpu = measured[-1]
    print(
        f"\nextrapolated from {count:,} atoms, linear: {LARGEST:,} atoms take "
        f"{cpu / count * LARGEST / 3600:.1f} h of a core"
    )


if __name__ == "__main__":
    main()
