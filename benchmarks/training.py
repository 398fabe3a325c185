"""One training step, timed: our Allegro beside a peer of the same size, eager and compiled.

    python -m benchmarks.training --threads 1 --peer-python PEER/bin/python --json training.json

A step is forward, backward and an Adam step on MSE(energy per atom) + MSE(forces), so that forces
are differentiated once more. Each implementation has a fresh process for each batch size, which
says how much memory it needed at most; in each round every one is measured, one right after the
other, and ratios are taken within a round. The frames are distorted aspirins with random labels
(which do not change the time), or those of `--data`. Before anything is timed, each process
compares the gradient of the forces' loss by the parameters with a finite difference. How to make
the peer's environment is written in `benchmarks/peers/nequip_allegro.py`. `--profile` shows where
our own step spends its time, instead.
"""

import argparse
import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from app.machine import machine
from benchmarks.sizes import ALLOCATOR, SIZES, add_sizes, size_arguments
from benchmarks.structures import ELEMENTS, rattled_aspirins
from benchmarks.worker import Worker, started

OWN, PEER = "equipot", "nequip-allegro"
MODULES = {OWN: "benchmarks.own_training", PEER: "benchmarks.peers.nequip_allegro_training"}
MODES = {OWN: ("eager",), PEER: ("eager", "compile")}
BATCHES = 4
"""Different batches that take turns."""
SETTINGS = {**ALLOCATOR, "OMP_WAIT_POLICY": "PASSIVE"}
LARGEST_ERROR = 0.02
"""Of the slope of the forces' loss against a finite difference, in float32."""
Workers = dict[tuple[int, str], Worker]
"""By batch size and "implementation mode"."""


def write_frames(path: Path, count: int, data: Path | None) -> None:
    """Write labelled frames as extXYZ.

    Args:
        path: the file.
        count: of the frames.
        data: labelled frames in a file that ASE reads; None makes distorted aspirins with random
            labels.
    """
    frames = rattled_aspirins(count) if data is None else ase.io.read(data, index=f":{count}")
    if len(frames) < count:
        raise SystemExit(f"--data {data}: {len(frames)} frames; {count} are needed")
    strangers = {symbol for atoms in frames for symbol in atoms.symbols} - set(ELEMENTS)
    if strangers:
        raise SystemExit(
            f"--data {data}: {', '.join(sorted(strangers))}; the models know {', '.join(ELEMENTS)}"
        )
    if data is None:
        random = np.random.default_rng(0)
        for atoms in frames:
            forces = random.normal(size=(len(atoms), 3))
            atoms.calc = SinglePointCalculator(atoms, energy=random.normal(), forces=forces)
    ase.io.write(path, frames, format="extxyz")


def start(stack: ExitStack, options: argparse.Namespace, folder: Path) -> Workers:
    """A process for each batch size, implementation and mode."""
    pythons = {
        OWN: Path(sys.executable),
        **({PEER: options.peer_python} if options.peer_python else {}),
    }
    workers = {}
    for size in options.batch_sizes:
        data = folder / f"{size}.xyz"
        write_frames(data, BATCHES * size, options.data)
        for name, python in pythons.items():
            for mode in MODES[name]:
                arguments = ["--data", str(data), "--batch-size", str(size), "--mode", mode]
                arguments += ["--threads", str(options.threads), *size_arguments(options)]
                worker = stack.enter_context(started(python, MODULES[name], arguments, SETTINGS))
                error = worker.description["second_derivative_error"]
                if not error < LARGEST_ERROR:
                    raise SystemExit(
                        f"{name} {mode}: the gradient of the forces' loss is off by {error:.1%}"
                    )
                workers[size, f"{name} {mode}"] = worker
                print(f"{name} {mode}, batches of {size}: ready", file=sys.stderr)
    return workers


def measure_rounds(workers: Workers, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Medians in ms of each round, and the peak of the memory, by "batch size/implementation"."""
    repeats = {
        case: _repeats(worker.ask(repeats=2)["ms"], options.seconds)
        for case, worker in workers.items()
    }
    found: dict[str, dict[str, Any]] = {f"{size}/{name}": {"ms": []} for size, name in workers}
    for number in range(options.rounds):
        for case in list(workers) if number % 2 == 0 else reversed(workers):
            answer = workers[case].ask(repeats=repeats[case])
            entry = found[f"{case[0]}/{case[1]}"]
            entry["ms"].append(answer["ms"])
            entry["peak_mb"] = answer["peak_mb"]
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    return found


def _repeats(ms: float, seconds: float) -> int:
    return int(min(max(1e3 * seconds / ms, 3), 500))


def table(found: dict[str, dict[str, Any]], workers: Workers) -> str:
    """Medians over the rounds, their spread, the ratio to ours, and peaks of memory, at last and
    before any step.
    """
    lines = [
        "| batch | implementation | steps/s | ms a step | least – most | ms/structure | peak MB | before | ÷ equipot |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (size, name), worker in workers.items():
        entry, base = found[f"{size}/{name}"], found[f"{size}/{OWN} eager"]["ms"]
        ms = statistics.median(entry["ms"])
        ratio = statistics.median(t / b for t, b in zip(entry["ms"], base, strict=True))
        lines.append(
            f"| {size} | {name} | {1e3 / ms:.2f} | {ms:.1f} | {min(entry['ms']):.1f} – {max(entry['ms']):.1f} | "
            f"{ms / size:.2f} | {entry['peak_mb']:.0f} | {worker.description['before_mb']:.0f} | {ratio:.2f} |"
        )
    return "\n".join(lines)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        workers = start(stack, options, Path(folder))
        found = measure_rounds(workers, options)
    data = options.data.name if options.data else "distorted aspirins"
    print(f"{machine()}; {options.threads} thread(s), float32, {options.rounds} rounds, {data}")
    for (size, name), worker in workers.items():
        if size == options.batch_sizes[0]:
            described = worker.description
            error = described["second_derivative_error"]
            print(
                f"{name}: {described['parameters']} parameters; second derivative off by {error:.1e}"
            )
    print("\n" + table(found, workers))
    chosen = {name: getattr(options, name) for name in ("threads", "rounds", "seconds", *SIZES)}
    described = {f"{size}/{name}": worker.description for (size, name), worker in workers.items()}
    return {
        "machine": machine(),
        "options": chosen,
        "implementations": described,
        "measured": found,
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="numerics threads of every implementation"
    )
    parser.add_argument(
        "--peer-python",
        type=Path,
        help="interpreter of the peer's environment; without it, ours only",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="labelled frames of H, C, N, O and Si in eV and Å, as ASE reads them",
    )
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[5, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each median")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument(
        "--profile", action="store_true", help="show where our own step spends its time, and stop"
    )
    add_sizes(parser)
    return parser.parse_args()


def main() -> None:
    """Measure, or profile."""
    options = arguments()
    if options.profile:
        from benchmarks.training_profile import profile

        with tempfile.TemporaryDirectory() as folder:
            for size in options.batch_sizes:
                data = Path(folder) / f"{size}.xyz"
                write_frames(data, BATCHES * size, options.data)
                print(profile(options, data, size))
        return
    result = run(options)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
