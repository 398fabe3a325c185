"""One training step, timed: our models beside a peer of the same size, eager and compiled.

    python -m benchmarks.training --threads 1 --peer-python PEER/bin/python
    python -m benchmarks.training --device cuda --modes eager tf32 bfloat16 'equiformer eager'

A step is forward, backward and an Adam step on MSE(energy per atom) + MSE(forces), so that forces
are differentiated once more. Each implementation has a fresh process for each batch size, which
says how much memory it needed at most; in each round every one is measured, one right after the
other, and ratios are taken within a round. The frames are distorted aspirins. Before anything is
timed, each process compares the gradient of the forces' loss by the parameters with a finite
difference. How to make the peer's environment is written in `benchmarks/peers/nequip_allegro.py`.
"""

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from app.machine import machine
from benchmarks.sizes import ALLOCATOR, add_sizes, as_arguments
from benchmarks.structures import rattled_aspirins
from benchmarks.timing import in_turns, print_header, print_missing, print_row, ratio
from benchmarks.worker import Worker, started

OWN, PEER = "equipot", "nequip-allegro"
MODULES = {OWN: "benchmarks.own_training", PEER: "benchmarks.peers.nequip_allegro_training"}
PRECISIONS = ("eager", "tf32", "bfloat16")
MODES = ("kernel", *PRECISIONS, *(f"equiformer {precision}" for precision in PRECISIONS))
PEER_MODES = ("eager", "compile")
BATCHES = 4
"""Different batches that take turns."""
SETTINGS = {**ALLOCATOR, "OMP_WAIT_POLICY": "PASSIVE"}
LARGEST_ERROR = 0.02
"""Of the slope of the forces' loss against a finite difference, in float32."""
Case = tuple[int, str, str]
"""Batch size, implementation, mode."""


def write_frames(path: Path, count: int) -> None:
    """Write distorted aspirins with random labels as extXYZ; they do not change the time."""
    frames, random = rattled_aspirins(count), np.random.default_rng(0)
    for atoms in frames:
        forces = random.normal(size=(len(atoms), 3))
        atoms.calc = SinglePointCalculator(atoms, energy=random.normal(), forces=forces)
    ase.io.write(path, frames, format="extxyz")


def start(
    options: argparse.Namespace, folder: Path, stack: ExitStack
) -> tuple[dict[Case, Worker], dict[Case, Exception]]:
    """A process for each batch size, implementation and mode; and why some are not there."""
    implementations = [(OWN, Path(sys.executable), mode) for mode in options.modes]
    if options.peer_python:
        implementations += [(PEER, options.peer_python, mode) for mode in PEER_MODES]
    workers: dict[Case, Worker] = {}
    missing: dict[Case, Exception] = {}
    for size in options.batch_sizes:
        data = folder / f"{size}.xyz"
        write_frames(data, BATCHES * size)
        for name, python, mode in implementations:
            words = ["--data", str(data), "--batch-size", str(size), "--mode", mode]
            words += as_arguments(options)
            try:
                worker = stack.enter_context(started(python, MODULES[name], words, SETTINGS))
            except RuntimeError as error:
                missing[size, name, mode] = error
                continue
            require_right(worker, mode)
            workers[size, name, mode] = worker
            print(f"{name} {mode}, batches of {size}: ready", file=sys.stderr)
    return workers, missing


def require_right(worker: Worker, mode: str) -> None:
    """End where the second derivative is wrong; in low precision it has no digits to compare."""
    error = worker.description["second_derivative_error"]
    print(f"{mode}: second derivative off by {error:.1e}", file=sys.stderr)
    if mode.endswith(("eager", "compile", "kernel")) and not error < LARGEST_ERROR:
        raise SystemExit(f"{mode}: the gradient of the forces' loss is off by {error:.1%}")


def print_table(workers: dict[Case, Worker], times: dict[Case, list[float]]) -> None:
    """Medians, their spread, peaks of memory at last and before any step, and the ratio to ours."""
    columns = ("batch", "implementation", "parameters", "steps/s", "ms a step", "least – most")
    print_header([*columns, "ms/structure", "peak MB", "before", "÷ equipot"])
    for (size, name, mode), rounds in times.items():
        worker, ms = workers[size, name, mode], statistics.median(rounds)
        base = next((t for (s, n, _), t in times.items() if (s, n) == (size, OWN)), None)
        speeds = (f"{1e3 / ms:.2f}", f"{ms:.1f}", f"{min(rounds):.1f} – {max(rounds):.1f}")
        peak, before = worker.ask(repeats=1)["peak_mb"], worker.description["before_mb"]
        about = (size, f"{name} {mode}", worker.description["parameters"])
        memory = (f"{peak:.0f}", f"{before:.0f}")
        print_row([*about, *speeds, f"{ms / size:.2f}", *memory, ratio(rounds, base)])


def measure(worker: Worker, repeats: int) -> float:
    """Median of some steps in a worker's process, ms."""
    return float(worker.ask(repeats=repeats)["ms"])


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", type=Path, help="interpreter of the peer's environment")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[5, 64])
    parser.add_argument(
        "--modes",
        nargs="+",
        choices=MODES,
        default=["eager"],
        help="of ours: Allegro in full or less precision, or in the kernel; Equiformer's defaults",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each median")
    add_sizes(parser)
    return parser.parse_args()


def main() -> None:
    """Measure, and print the table."""
    options = arguments()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        workers, missing = start(options, Path(folder), stack)
        measures = {case: partial(measure, worker) for case, worker in workers.items()}
        times, failed = in_turns(measures, options.rounds, options.seconds)
        where = f"{options.device}, {options.threads} thread(s), {options.rounds} rounds"
        print(f"{machine()}; {where}\n")
        print_table(workers, times)
        print_missing(missing | failed)


if __name__ == "__main__":
    main()
