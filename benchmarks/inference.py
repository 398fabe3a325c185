"""One evaluation, timed: our model in eager torch and in ONNX Runtime, beside a peer of the same
size.

    python -m benchmarks.inference --threads 1 --peer-python PEER/bin/python --json inference.json

Weights are random: they do not change the time. `graph` is the way from atoms to neighbour lists,
the others are from there to energy, forces and (crystal) stress, or, in `onnx energies`, to the
energy alone. In each round every implementation measures every system, one right after the other,
so that all see the machine in the same state; ratios are taken within a round. How to make the
peer's environment is written in `benchmarks/peers/nequip_allegro.py`.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graphs
from app.atoms.structure import Structure
from app.backends.onnx import open_onnx
from app.backends.onnx_runtime import require_onnxruntime
from app.machine import machine
from app.store.card import ARTIFACT, ENERGIES
from app.training.export.certificate import model_inputs
from app.training.export.onnx import cut_energies, export_onnx
from app.training.models import build_model
from app.training.models.derivatives import evaluate
from benchmarks.own import allegro_config, card_of
from benchmarks.own import statistics as statistics_of
from benchmarks.sizes import ALLOCATOR, SIZES, add_sizes, size_arguments
from benchmarks.structures import systems
from benchmarks.timing import median_ms
from benchmarks.worker import Worker, started

OWN, PEER = "equipot", "nequip-allegro"
MODES = {OWN: ("graph", "eager", "onnx", "onnx energies"), PEER: ("graph", "eager", "compiled")}
Measure = Callable[[str, str, int], float]
"""Median ms of an implementation, from system, mode and repeats."""


class Own:
    """Our model, eager and exported."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        config = allegro_config(options)
        model = build_model(config, statistics_of(options)).eval()
        self.parameters = sum(p.numel() for p in model.parameters())
        export_onnx(model, folder / ARTIFACT)
        cut_energies(folder / ARTIFACT, folder / ENERGIES)
        self.backend = open_onnx(card_of(config, self.parameters), folder, threads=options.threads)
        self.model = model.requires_grad_(False)
        self.graphs: dict[str, Graph] = {}
        self.calls: dict[tuple[str, str], Callable[[], Any]] = {}
        self.deviations: dict[str, float] = {}
        for name, frames in systems().items():
            self._add(name, frames, config.cutoff)

    def _add(self, name: str, frames: list[Atoms], cutoff: float) -> None:
        structures = [Structure(a.numbers, a.positions, a.cell.array, a.pbc) for a in frames]
        graph = build_graphs(structures, cutoff)
        inputs = model_inputs(graph, self.backend.card, torch.float32)
        self.graphs[name] = graph
        self.calls[name, "graph"] = lambda: build_graphs(structures, cutoff)
        self.calls[name, "eager"] = lambda: evaluate(self.model, inputs)
        self.calls[name, "onnx"] = lambda: self.backend(graph)
        self.calls[name, "onnx energies"] = lambda: self.backend.energies(graph)
        forces = evaluate(self.model, inputs)[1].numpy()
        self.deviations[name] = float(np.abs(self.backend(graph).forces - forces).max())

    def measure(self, system: str, mode: str, repeats: int) -> float:
        """Median of some calls, ms."""
        return median_ms(self.calls[system, mode], repeats)

    def describe(self) -> dict[str, Any]:
        """What is measured."""
        sizes = {
            name: {
                "atoms": len(graph.numbers),
                "edges": len(graph.edge_reverse),
                "deviation": self.deviations[name],
            }
            for name, graph in self.graphs.items()
        }
        return {
            "torch": torch.__version__,
            "onnxruntime": require_onnxruntime().__version__,
            "parameters": self.parameters,
            "systems": sizes,
        }


class Peer:
    """A process of another environment that measures when it is asked to."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.description = worker.description

    def measure(self, system: str, mode: str, repeats: int) -> float:
        """Median of some calls in the peer's process, ms."""
        return float(self.worker.ask(system=system, mode=mode, repeats=repeats)["ms"])


def measure_rounds(
    implementations: dict[str, Measure], options: argparse.Namespace
) -> dict[str, list[float]]:
    """Medians in ms of each round, by "system/implementation/mode"; the order turns around every
    round.
    """
    cases = [
        (system, name, mode)
        for system in systems()
        for name in implementations
        for mode in MODES[name]
    ]
    repeats = {
        case: _repeats(implementations[case[1]](case[0], case[2], 2), options.seconds)
        for case in cases
    }
    rounds: dict[str, list[float]] = {"/".join(case): [] for case in cases}
    for number in range(options.rounds):
        for system, name, mode in cases if number % 2 == 0 else reversed(cases):
            found = implementations[name](system, mode, repeats[system, name, mode])
            rounds[f"{system}/{name}/{mode}"].append(found)
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    return rounds


def _repeats(ms: float, seconds: float) -> int:
    return int(min(max(1e3 * seconds / ms, 3), 500))


def table(rounds: dict[str, list[float]], sizes: dict[str, dict[str, Any]]) -> str:
    """Medians over the rounds, their spread, and the ratio to our ONNX artifact (graphs: to our
    graph).
    """
    lines = [
        "| system | atoms | edges | implementation | ms | least – most | µs/atom | ÷ equipot |",
        "|---|---:|---:|---|---:|---:|---:|---:|",
    ]
    for case, times in rounds.items():
        system, name, mode = case.split("/")
        base = rounds[f"{system}/{OWN}/{'graph' if mode == 'graph' else 'onnx'}"]
        ratio = statistics.median(t / b for t, b in zip(times, base, strict=True))
        ms, atoms = statistics.median(times), sizes[system]["atoms"]
        lines.append(
            f"| {system} | {atoms} | {sizes[system]['edges']} | {name} {mode} | {_digits(ms)} | "
            f"{_digits(min(times))} – {_digits(max(times))} | {_digits(1e3 * ms / atoms)} | {ratio:.2f} |"
        )
    return "\n".join(lines)


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each median")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument(
        "--default-allocator", action="store_true", help="leave glibc's thresholds alone"
    )
    add_sizes(parser)
    return parser.parse_args()


def run(options: argparse.Namespace, peer: Peer | None) -> dict[str, Any]:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        own = Own(options, Path(folder))
        implementations: dict[str, Measure] = {OWN: own.measure}
        descriptions = {OWN: own.describe()}
        if peer:
            implementations[PEER], descriptions[PEER] = peer.measure, peer.description
            _require_same_sizes(*(description["systems"] for description in descriptions.values()))
        rounds = measure_rounds(implementations, options)
    parameters = ", ".join(f"{d['parameters']} ({name})" for name, d in descriptions.items())
    print(
        f"{machine()}; {options.threads} thread(s), float32, {options.rounds} rounds; parameters: {parameters}\n"
    )
    print(table(rounds, descriptions[OWN]["systems"]))
    chosen = {
        name: getattr(options, name) for name in ("threads", "rounds", "default_allocator", *SIZES)
    }
    return {
        "machine": machine(),
        "options": chosen,
        "implementations": descriptions,
        "rounds_ms": rounds,
    }


def _require_same_sizes(own: dict[str, Any], peer: dict[str, Any]) -> None:
    for name, sizes in own.items():
        if any(sizes[key] != peer[name][key] for key in ("atoms", "edges")):
            raise SystemExit(f"{name}: {sizes} here, {peer[name]} in the peer")


def main() -> None:
    """Set the environment, start the peer, measure."""
    options = arguments()
    missing = (
        {}
        if options.default_allocator
        else {k: v for k, v in ALLOCATOR.items() if os.environ.get(k) != v}
    )
    if missing:
        os.execve(
            sys.executable,
            [sys.executable, "-m", "benchmarks.inference", *sys.argv[1:]],
            os.environ | missing,
        )
    torch.set_num_threads(options.threads)
    if options.peer_python:
        command = ["--threads", str(options.threads), *size_arguments(options)]
        with started(options.peer_python, "benchmarks.peers.nequip_allegro", command, {}) as worker:
            result = run(options, Peer(worker))
    else:
        result = run(options, None)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
