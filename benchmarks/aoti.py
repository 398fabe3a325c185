"""Our ONNX artifact beside the AOTInductor package of the same captured graph.

    python -m benchmarks.aoti
    python -m benchmarks.aoti --device cuda --portions 32768 1048576

Energies and gradients by the edge vectors of random networks of the default sizes, from arrays in
memory to arrays in memory; neighbour lists and the two sums that give forces and stress, which both
would share, are left out. Systems are cut into portions as the `onnx` backend does it, of at most
so many edge slots each; with several threads each runs portions of its own. The two runtimes take
turns, the order changes every time, and ratios are taken within a turn: `ONNX ÷ AOTI` over 1 means
that AOTInductor is faster. Where other work runs on the machine, look at the ratio of processor
times; on a GPU, at that of wall times.

Needs a C++ compiler, and with `--device cuda` a torch with CUDA and `onnxruntime-gpu`.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import nn
from torch._inductor.package import load_package

from app.atoms.neighbors import build_graphs
from app.backends.artifact import OUTPUTS
from app.backends.layout import portions
from app.backends.onnx_runtime import check_providers, providers_for, require_onnxruntime
from app.formats.ase_atoms import from_ase
from app.machine import machine
from app.training.export.aoti import INDUCTOR, compile_package
from app.training.export.onnx import export_onnx, input_type
from app.training.loop.hardware import keep_freed_memory
from app.training.models import AllegroConfig, EquiformerConfig, Statistics, build_model
from benchmarks.structures import ELEMENTS, systems

CONFIGS = {"allegro": AllegroConfig, "equiformer": EquiformerConfig}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "frozen": INDUCTOR,
    "autotuned": {**INDUCTOR, "max_autotune": True},
}
"""Inductor's: none; weights folded and packed, fused multiply and add; and products of matrices
tuned besides.
"""

Feeds = dict[str, NDArray[Any]]
Runtime = Callable[[Feeds], list[NDArray[Any]]]
"""Energies and gradients of one portion."""


@dataclass(frozen=True)
class Case:
    """A system, cut into portions of at most `most` slots."""

    system: str
    most: int
    feeds: list[Feeds]


def onnx_runtime(model: nn.Module, path: Path, device: str) -> Runtime:
    """The artifact, opened as the `onnx` backend opens it."""
    export_onnx(model, path)
    runtime = require_onnxruntime(device)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=providers_for(device))
    check_providers(session, device)
    return partial(session.run, OUTPUTS)


def compiled(model: nn.Module, path: Path, options: dict[str, Any]) -> float:
    """Compile a model to a package; seconds that it took."""
    start = time.perf_counter()
    compile_package(model, path, options)
    return time.perf_counter() - start


def aoti_runtime(path: Path, names: tuple[str, ...], device: str, threads: int) -> Runtime:
    """A package, opened for so many threads at a time."""
    package = load_package(str(path), num_runners=threads)

    def run(feeds: Feeds) -> list[NDArray[Any]]:
        with torch.inference_mode():
            return [
                found.cpu().numpy()
                for found in package(*(torch.from_numpy(feeds[n]).to(device) for n in names))
            ]

    return run


def cases(
    model: nn.Module, cutoff: float, most_slots: list[int], chosen: list[str]
) -> Iterator[Case]:
    """All systems in all portions; larger ones than a system fills are left out."""
    for name in chosen:
        for most in sorted(most_slots):
            feeds = list(_feeds(systems()[name], model, cutoff, most))
            yield Case(name, most, feeds)
            if len(feeds) == 1:
                break


def _feeds(frames: list[Atoms], model: nn.Module, cutoff: float, most: int) -> Iterator[Feeds]:
    graph = build_graphs([from_ase(atoms) for atoms in frames], cutoff)
    species = np.array(
        [ELEMENTS.index(symbol) for atoms in frames for symbol in atoms.get_chemical_symbols()]
    )
    for part in portions(graph, most, whole_structures=not model.strictly_local):
        feeds = part.feeds(species, graph.edge_vectors(), np.dtype(np.float32))
        feeds |= {} if model.strictly_local else part.links()
        yield {name: feeds[name] for name in input_type(model)._fields}


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Processor time of the process and wall time, s."""
    busy, start = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - busy, time.perf_counter() - start


def alternating(calls: list[Callable[[], object]], seconds: float) -> NDArray[np.float64]:
    """(rounds, calls, 2) processor and wall times, s, of calls that take turns."""
    for call in calls:
        call()
    once = sum(timed(call)[1] for call in calls)
    rounds = []
    for number in range(int(np.clip(seconds / once, 5, 1000))):
        order = range(len(calls)) if number % 2 == 0 else reversed(range(len(calls)))
        times = {i: timed(calls[i]) for i in order}
        rounds.append([times[i] for i in range(len(calls))])
    return np.array(rounds)


def compare(
    case: Case, runtimes: dict[str, Runtime], pool: ThreadPoolExecutor | None, seconds: float
) -> Iterator[str]:
    """A row for each package, the artifact's runtime being the first."""
    found = [[run(feeds) for feeds in case.feeds] for run in runtimes.values()]
    calls = [partial(_run_all, run, case.feeds, pool) for run in runtimes.values()]
    times = alternating(calls, seconds)
    ratios = np.median(times[:, :1] / times, axis=0)
    milliseconds = 1e3 * np.median(times, axis=0)
    for i, name in enumerate(list(runtimes)[1:], 1):
        apart = max(np.abs(a[1] - b[1]).max() for a, b in zip(found[0], found[i], strict=True))
        yield (
            f"{case.system} | {case.most} | {len(case.feeds)} | {name} | {milliseconds[0, 0]:.4g} | "
            f"{milliseconds[i, 0]:.4g} | {ratios[i, 0]:.2f} | {ratios[i, 1]:.2f} | {apart:.1e} |"
        )


def _run_all(run: Runtime, feeds: list[Feeds], pool: ThreadPoolExecutor | None) -> None:
    for _ in pool.map(run, feeds) if pool else map(run, feeds):
        pass


def rows(
    architecture: str, options: argparse.Namespace, folder: Path, pool: ThreadPoolExecutor | None
) -> Iterator[str]:
    """Export and compile one network, and compare."""
    config = CONFIGS[architecture]()
    references = dict.fromkeys(ELEMENTS, 0.0)
    model = build_model(
        config,
        Statistics(
            elements=ELEMENTS, atomic_energies=references, force_scale=1.0, average_neighbors=15.0
        ),
    ).eval()
    runtimes = {"onnx": onnx_runtime(model, folder / f"{architecture}.onnx", options.device)}
    model = model.to(options.device)
    for name in options.inductor:
        path = folder / f"{architecture}-{name}.pt2"
        seconds = compiled(model, path, OPTIONS[name])
        print(
            f"{architecture}, {name}: compiled in {seconds:.0f} s, {path.stat().st_size / 1e6:.1f} MB",
            file=sys.stderr,
        )
        runtimes[name] = aoti_runtime(
            path, input_type(model)._fields, options.device, options.threads
        )
    for case in cases(model, config.cutoff, options.portions, options.systems):
        for row in compare(case, runtimes, pool, options.seconds):
            yield f"| {architecture} | {row}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architectures", nargs="+", choices=list(CONFIGS), default=list(CONFIGS))
    parser.add_argument("--systems", nargs="+", choices=list(systems()), default=list(systems()))
    parser.add_argument("--inductor", nargs="+", choices=list(OPTIONS), default=["plain", "frozen"])
    parser.add_argument(
        "--portions", nargs="+", type=int, default=[2048, 8192, 32768], help="most slots of a run"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="portions at a time")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="time for each line of the table, all runtimes"
    )
    options = parser.parse_args()
    keep_freed_memory()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"{machine()}; {options.device}, {options.threads} thread(s), float32\n")
    print(
        "| network | system | slots | runs | Inductor | ONNX, CPU ms | AOTI, CPU ms | ONNX ÷ AOTI, CPU | wall | apart |"
    )
    print("|---|---|---:|---:|---|---:|---:|---:|---:|---:|")
    pool = ThreadPoolExecutor(options.threads, initializer=torch.set_num_threads, initargs=(1,))
    with tempfile.TemporaryDirectory() as folder, pool:
        for architecture in options.architectures:
            for row in rows(
                architecture, options, Path(folder), pool if options.threads > 1 else None
            ):
                print(row, flush=True)


if __name__ == "__main__":
    main()
