"""One evaluation, timed: eager, in ONNX Runtime in each way to run a session, and the peer."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from benchmarks.gpu_parts import models
from benchmarks.gpu_parts.report import Report, Setup
from benchmarks.sizes import size_arguments
from benchmarks.structures import systems
from benchmarks.timing import median_ms
from benchmarks.worker import started

Measure = Callable[[int], float]
"""Median ms of so many calls."""
Cases = dict[tuple[str, str], Measure]
"""By system and implementation."""
BASE = "equipot onnx graphs"
PEER = "nequip-allegro compiled"
AIM = 1.5


def measure(setup: Setup) -> Report:
    """All implementations on all systems, in rounds; ratios are taken within a round."""
    report = Report(
        (
            "system",
            "atoms",
            "edges",
            "implementation",
            "ms",
            "least",
            "most",
            "µs/atom",
            "÷ equipot",
        )
    )
    report.notes.append(
        "ms from the graph on the host to energies and forces on the host; inputs and answers of the peer and of eager "
        "stay on the device, in their favour; `session` is the part of ours within ONNX Runtime, copies included"
    )
    graphs = _graphs(setup)
    with ExitStack() as stack:
        measures: Cases = {}
        for what, make in _sources(setup, graphs, stack):
            try:
                measures |= make()
            except (Exception, SystemExit) as error:  # a peer that ends raises the latter
                report.lacks(what, error)
        rounds = _rounds(measures, setup)
    for (system, name), times in sorted(
        rounds.items(), key=lambda item: list(graphs).index(item[0][0])
    ):
        graph, ms = graphs[system], statistics.median(times)
        atoms = len(graph.numbers)
        row = (
            system,
            atoms,
            len(graph.edge_reverse),
            name,
            ms,
            min(times),
            max(times),
            1e3 * ms / atoms,
        )
        report.rows.append((*row, _ratio(times, rounds.get((system, BASE)))))
    report.notes += [
        f"{s}: {PEER} ÷ {BASE} = {r:.2f}; the aim is {AIM}"
        for s, r in _beside_peer(rounds, list(graphs))
    ]
    return report


def _graphs(setup: Setup) -> dict[str, Any]:
    from app.atoms.neighbors import build_graphs
    from app.atoms.structure import Structure

    found = {}
    for name, frames in systems().items():
        structures = [Structure(a.numbers, a.positions, a.cell.array, a.pbc) for a in frames]
        found[name] = build_graphs(structures, setup.options.cutoff)
    return dict(list(found.items())[:1]) if setup.quick else found


def _sources(
    setup: Setup, graphs: dict[str, Any], stack: ExitStack
) -> Iterator[tuple[str, Callable[[], Cases]]]:
    """What is compared, and what makes it: each may be impossible here."""
    from app.backends.artifact import Execution

    for tf32 in (False, True):
        yield f"eager{', tf32' * tf32}", lambda tf32=tf32: _eager(setup, graphs, tf32)
    for execution in Execution:
        yield (
            f"onnx {execution.name.lower()}",
            lambda e=execution: _onnx(setup, graphs, setup.device, e),
        )
    if setup.device != "cpu":
        yield "onnx on the CPU", lambda: _onnx(setup, graphs, "cpu", Execution.PLAIN)
    if setup.options.peer_python is None:
        yield PEER, _no_peer
    else:
        yield PEER, lambda: _peer(setup, graphs, stack)


def _no_peer() -> Cases:
    raise RuntimeError(
        "no --peer-python; benchmarks/peers/nequip_allegro.py says how to make its environment"
    )


def _eager(setup: Setup, graphs: dict[str, Any], tf32: bool) -> Cases:
    import torch

    from app.training.export.certificate import model_inputs
    from app.training.loop.precision import Precision
    from app.training.models.derivatives import evaluate

    if tf32 and setup.device == "cpu":
        raise RuntimeError("only CUDA devices have it")
    place = models.ensure(setup.options, setup.artifacts)
    model, card = models.read_model(setup.options, place, setup.device), models.read_card(place)
    precision = Precision("tf32" if tf32 else "full", torch.device(setup.device))

    def measured(graph: Any) -> Measure:
        tensors = model_inputs(graph, card, torch.float32)
        inputs = type(tensors)(*(tensor.to(setup.device) for tensor in tensors))

        def call() -> None:
            with precision.of_step():
                evaluate(model, inputs)
            synchronize(setup.device)

        return lambda repeats: median_ms(call, repeats, warmup=3)

    name = "equipot eager tf32" if tf32 else "equipot eager"
    return {(system, name): measured(graph) for system, graph in graphs.items()}


def synchronize(device: str) -> None:
    """Wait until torch's device has done what it was given."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def _onnx(setup: Setup, graphs: dict[str, Any], device: str, execution: Any) -> Cases:
    from app.backends.artifact import Execution
    from app.backends.onnx import open_onnx

    place = models.ensure(setup.options, setup.artifacts)
    card = models.read_card(place)
    backend = open_onnx(
        card, place, threads=setup.options.threads, device=device, execution=execution
    )
    if execution is Execution.GRAPHS and backend.artifacts[0].execution is not Execution.GRAPHS:
        raise RuntimeError("the runtime cannot replay this artifact; the log says why")
    elsewhere = " on the CPU" if device != setup.device else ""
    name = f"equipot onnx {execution.name.lower()}{elsewhere}"
    found: Cases = {}
    for system, graph in graphs.items():
        found[system, name] = _of(lambda graph=graph: backend(graph))
        if execution is Execution.GRAPHS:
            found[system, f"{name}, energies"] = _of(lambda graph=graph: backend.energies(graph))
            found[system, f"{name}, session"] = _session_alone(backend, graph)
    return found


def _of(call: Callable[[], object]) -> Measure:
    return lambda repeats: median_ms(call, repeats, warmup=3)


def _session_alone(backend: Any, graph: Any) -> Measure:
    """Only what ONNX Runtime does: the graph is laid out and padded before."""
    from app.backends.artifact import OUTPUTS
    from app.backends.onnx_session import bucket

    species, vectors = backend.card.species(graph.numbers), graph.edge_vectors()
    parts = [part.padded(*bucket(*part.mask.shape)) for part in backend.portions(graph)]
    feeds = [part.feeds(species, vectors, np.dtype(backend.card.dtype)) for part in parts]
    return _of(lambda: [backend.artifacts[0].run(OUTPUTS, one) for one in feeds])


def _peer(setup: Setup, graphs: dict[str, Any], stack: ExitStack) -> Cases:
    options = setup.options
    words = [
        "--device",
        setup.device,
        "--threads",
        str(options.threads or 1),
        *size_arguments(options),
    ]
    worker = stack.enter_context(
        started(options.peer_python, "benchmarks.peers.nequip_allegro", words, {})
    )

    def measured(system: str) -> Measure:
        return lambda repeats: float(
            worker.ask(system=system, mode="compiled", repeats=repeats)["ms"]
        )

    return {(system, PEER): measured(system) for system in graphs}


def _rounds(measures: Cases, setup: Setup) -> dict[tuple[str, str], list[float]]:
    repeats = {
        case: int(min(max(1e3 * setup.seconds / call(2), 3), 2000))
        for case, call in measures.items()
    }
    rounds: dict[tuple[str, str], list[float]] = {case: [] for case in measures}
    for number in range(1 if setup.quick else setup.options.rounds):
        for case in measures if number % 2 == 0 else reversed(list(measures)):
            rounds[case].append(measures[case](repeats[case]))
    return rounds


def _ratio(times: list[float], base: list[float] | None) -> float | None:
    return (
        None if base is None else statistics.median(t / b for t, b in zip(times, base, strict=True))
    )


def _beside_peer(
    rounds: dict[tuple[str, str], list[float]], names: list[str]
) -> list[tuple[str, float]]:
    pairs = [(name, rounds.get((name, PEER)), rounds.get((name, BASE))) for name in names]
    return [
        (name, ratio)
        for name, peer, base in pairs
        if peer and (ratio := _ratio(peer, base)) is not None
    ]
