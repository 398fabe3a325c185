"""One evaluation, timed: our model in eager torch, in ONNX Runtime and in the native kernel, beside
a peer of the same size.

    python -m benchmarks.inference --threads 1 --peer-python PEER/bin/python
    python -m benchmarks.inference --threads 2 --peer-python PEER/bin/python --processor-time
    python -m benchmarks.inference --device cuda --aspirins 64 4096 --silicon 5 20 --slots 262144

Weights are random: they do not change the time. `end to end` is what a user gets: ASE's `Atoms` in,
energies, forces and (crystals) stress of each structure out, neighbour lists included; by the kernel,
by ONNX Runtime, by the compiled peer. The other rows are its parts: `graph` is the way from atoms to
neighbour lists, the others are from there to the answer, or, in `onnx energies` and `kernel
energies`, to the energy alone. Ratios are to the kernel where it is there, else to ONNX Runtime.

Processor time, of all threads of the process that computes, is for a machine with other work on it;
torch's threads wait without spinning then. On a GPU, ONNX Runtime is measured in each way to run a
session, and on the CPU besides; inputs and answers of eager torch and of the peer stay on the device,
in their favour. In each round every implementation measures every system, one right after the other;
ratios are taken within a round. What cannot be measured is listed with the reason. How to make the
peer's environment is written in `benchmarks/peers/nequip_allegro.py`.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path

import torch
import yaml
from ase import Atoms
from safetensors.torch import save_file

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graphs
from app.atoms.prediction import StructurePrediction, split
from app.backends.exported import ExportedBackend
from app.backends.kernel import SLOTS_PER_RUN, open_kernel
from app.backends.kernel_network import CONFIG, STATISTICS, WEIGHTS
from app.backends.onnx import open_onnx
from app.backends.onnx_session import Execution
from app.formats.ase_atoms import from_ase
from app.machine import machine
from app.store.card import ARTIFACT, ENERGIES
from app.training.export.certificate import model_inputs
from app.training.export.onnx import cut_energies, export_onnx
from app.training.models import build_model
from app.training.models.derivatives import evaluate
from benchmarks.own import allegro_config, card_of
from benchmarks.own import statistics as statistics_of
from benchmarks.sizes import SYSTEMS, add_sizes, add_systems, as_arguments, environment
from benchmarks.structures import systems
from benchmarks.timing import (
    CLOCKS,
    Measure,
    digits,
    in_turns,
    measured,
    print_header,
    print_missing,
    print_row,
    ratio,
)
from benchmarks.training_step import waited
from benchmarks.worker import Worker, started

OWN, PEER = "equipot", "nequip-allegro"
WHOLE = "end to end"
PEER_MODES = (f"compiled {WHOLE}", "graph", "eager", "compiled")
Measures = Iterator[tuple[tuple[str, str], Measure]]
"""By system and implementation."""
Opened = Callable[[], ExportedBackend]
"""A backend, opened when it is first asked for."""


class Own:
    """Our model, eager and exported, on some structures.

    Attributes:
        frames: by system.
        graphs: by system.
        parameters: of the model.
        base: the artifact in the service's own way on the device, to which others are compared where
            there is no kernel.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        config = allegro_config(options)
        self.options, self.folder = options, folder
        self.frames = systems(options.aspirins, options.silicon)
        self.structures = {n: [*map(from_ase, frames)] for n, frames in self.frames.items()}
        self.graphs = {n: build_graphs(s, config.cutoff) for n, s in self.structures.items()}
        self.model = build_model(config, statistics_of(options)).eval()
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.card = card_of(config, self.parameters)
        export_onnx(self.model, folder / ARTIFACT)
        cut_energies(folder / ARTIFACT, folder / ENERGIES)
        self.model.requires_grad_(False).to(options.device)
        files = {
            CONFIG: yaml.safe_dump({"model": config.model_dump(mode="json")}),
            STATISTICS: statistics_of(options).model_dump_json(),
        }
        for name, text in files.items():
            (folder / name).write_text(text)
        save_file(self.model.state_dict(), folder / WEIGHTS)
        self.base = "onnx" if options.device == "cpu" else f"onnx {max(Execution).name.lower()}"

    def measures(self) -> Measures:
        """Everything that is timed."""
        device, ways = self.options.device, {"onnx": self.opened("cpu", None)}
        if device != "cpu":
            ways = {"onnx on the CPU": ways["onnx"]}
            ways |= {f"onnx {way.name.lower()}": self.opened(device, way) for way in Execution}
        alone = {"onnx": ways[self.base]}
        if device == "cpu":
            ways["kernel"] = alone["kernel"] = self.kernel()
        clock = CLOCKS[clock_of(self.options)]
        for system, graph in self.graphs.items():
            frames, some = self.frames[system], self.structures[system]
            calls: dict[str, Callable[[], object]] = {
                **{f"{name} {WHOLE}": partial(whole, o, frames) for name, o in alone.items()},
                "graph": partial(build_graphs, some, self.card.cutoff),
                "eager": self.eager(graph),
                **{name: lambda o=opened, g=graph: o()(g) for name, opened in ways.items()},
                **{
                    f"{name} energies": lambda o=opened, g=graph: o().energies(g)
                    for name, opened in alone.items()
                },
            }
            for name, call in calls.items():
                yield (system, f"{OWN} {name}"), measured(call, clock)

    def opened(self, device: str, execution: Execution | None) -> Opened:
        """The exported model, opened when it is first asked for."""
        fixed = {"threads": self.options.threads, "slots": self.options.slots}
        return cache(
            partial(open_onnx, self.card, self.folder, device=device, execution=execution, **fixed)
        )

    def kernel(self) -> Opened:
        """The same weights in the kernel, opened when it is first asked for."""
        threads, level = self.options.threads, self.options.kernel_level
        slots = self.options.slots or SLOTS_PER_RUN
        return cache(
            partial(open_kernel, self.card, self.folder, threads, slots=slots, level=level)
        )

    def eager(self, graph: Graph) -> Callable[[], None]:
        """The model in torch, on inputs that are on the device."""
        given, device = model_inputs(graph, self.card, torch.float32), self.options.device
        inputs = cache(lambda: type(given)(*(tensor.to(device) for tensor in given)))

        def call() -> None:
            evaluate(self.model, inputs())
            waited(device)

        return call


def whole(opened: Opened, frames: Sequence[Atoms]) -> list[StructurePrediction]:
    """Each structure's energy, forces and stress: neighbour lists, one evaluation, the parts of it.

    As the service does it, without its queue: the lists are made by one thread.
    """
    backend = opened()
    graph = build_graphs([*map(from_ase, frames)], backend.card.cutoff)
    return split(backend(graph), graph)


class Peer:
    """A process of another environment that measures when it is asked to.

    Args:
        worker: the process.
        graphs: ours, by system; its own have to be as large.
        clock: by whose time it measures, a name of `CLOCKS`.
    """

    def __init__(self, worker: Worker, graphs: dict[str, Graph], clock: str) -> None:
        self.worker, self.graphs, self.clock = worker, graphs, clock
        for name, graph in graphs.items():
            own = {"atoms": len(graph.numbers), "edges": len(graph.edge_reverse)}
            other = {size: worker.description[size][name] for size in own}
            if own != other:
                raise SystemExit(f"{name}: {own} here, {other} in the peer")

    def measures(self) -> Measures:
        """Everything that is timed."""
        for system in self.graphs:
            for mode in PEER_MODES:
                yield (system, f"{PEER} {mode}"), partial(self.measure, system, mode)

    def measure(self, system: str, mode: str, repeats: int) -> float:
        """Median of some calls by the clock of the peer's process, ms."""
        asked = {"system": system, "mode": mode, "repeats": repeats, "clock": self.clock}
        return float(self.worker.ask(**asked)["ms"])


def clock_of(options: argparse.Namespace) -> str:
    """The name of the clock that is asked for."""
    return "processor" if options.processor_time else "wall"


def print_table(times: dict[tuple[str, str], list[float]], own: Own) -> None:
    """Medians over the rounds, their spread, and the ratio to our own row of the same kind; what a user
    gets first.
    """
    columns = ("system", "atoms", "edges", "implementation", "ms", "least – most", "µs/atom")
    print_header([*columns, "÷ equipot"])
    order = list(own.graphs)

    def place(case: tuple[str, str]) -> tuple[int, bool]:
        return order.index(case[0]), not case[1].endswith(WHOLE)

    for system, name in sorted(times, key=place):
        graph, rounds = own.graphs[system], times[system, name]
        ms = statistics.median(rounds)
        sizes = (system, len(graph.numbers), len(graph.edge_reverse), name, digits(ms))
        spread = f"{digits(min(rounds))} – {digits(max(rounds))}"
        base = base_of(name, own.base)
        known = [times[system, other] for other in base if (system, other) in times]
        compared = ratio(rounds, known[0] if known else None)
        print_row([*sizes, spread, digits(1e3 * ms / len(graph.numbers)), compared])


def base_of(name: str, artifact: str) -> tuple[str, ...]:
    """Our own rows that one may be compared with, the best first.

    Args:
        name: of the row.
        artifact: our artifact in the service's own way.
    """
    if name.endswith(" graph"):
        return (f"{OWN} graph",)
    if name.endswith(WHOLE):
        return f"{OWN} kernel {WHOLE}", f"{OWN} onnx {WHOLE}"
    return f"{OWN} kernel", f"{OWN} {artifact}"


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", type=Path, help="interpreter of the peer's environment")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each median")
    parser.add_argument(
        "--slots", type=int, default=0, help="most edges of a run; 0 lets the backend choose"
    )
    parser.add_argument(
        "--processor-time", action="store_true", help="of each process, instead of wall time"
    )
    parser.add_argument(
        "--kernel-level",
        default="",
        help="AVX-512, AVX2 or baseline; the processor's best if empty",
    )
    add_sizes(parser)
    add_systems(parser)
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    options = arguments(words)
    wanted = environment(options.processor_time)
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        command = [sys.executable, "-m", "benchmarks.inference", *(words or sys.argv[1:])]
        os.execve(sys.executable, command, os.environ | wanted)
    torch.set_num_threads(options.threads)
    clock = clock_of(options)
    with ExitStack() as stack:
        own = Own(options, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        measures, parameters = dict(own.measures()), f"{own.parameters} ({OWN})"
        if options.peer_python:
            asked = as_arguments(options, *SYSTEMS)
            peer = started(options.peer_python, "benchmarks.peers.nequip_allegro", asked)
            try:
                worker = stack.enter_context(peer)
            except RuntimeError as error:
                print(f"without {PEER}: {error}\n")
            else:
                measures |= dict(Peer(worker, own.graphs, clock).measures())
                parameters += f", {worker.description['parameters']} ({PEER})"
        times, missing = in_turns(measures, options.rounds, options.seconds)
    where = (
        f"{options.device}, {options.threads} thread(s), float32, {options.rounds} rounds, "
        f"{clock} time"
    )
    print(f"{machine()}; {where}; parameters: {parameters}\n")
    print_table(times, own)
    print_missing(missing)


if __name__ == "__main__":
    main()
