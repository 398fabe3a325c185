"""Large batches: atoms a second over the size of the batch until memory or time ends, and the
budget that follows.
"""

import time
from typing import Any

from benchmarks.gpu_parts import models
from benchmarks.gpu_parts.report import Report, Setup
from benchmarks.structures import rattled_aspirins, silicon
from benchmarks.timing import median_ms

SLOTS = (1 << 16, 1 << 18, 1 << 20)
"""Most slots of a run, to be compared."""
LONGEST = 2.0
"""Seconds of a batch beyond which no larger one is measured."""


def measure(setup: Setup) -> Report:
    """Batches of molecules and of a crystal, for several sizes of a run; then what the service
    would choose.
    """
    from app.backends.onnx import open_onnx

    report = Report(
        (
            "system",
            "slots a run",
            "structures",
            "atoms",
            "ms",
            "atoms/s",
            "energies alone, ms",
            "host before, ms",
        )
    )
    report.notes.append("host before: the neighbour lists of the whole batch, on one thread")
    place = models.ensure(setup.options, setup.artifacts)
    card = models.read_card(place)
    for slots in SLOTS[:1] if setup.quick else SLOTS:
        backend = open_onnx(
            card, place, threads=setup.options.threads, device=setup.device, slots=slots
        )
        for name, structure in _kinds(setup):
            try:
                _grow(report, backend, name, slots, structure, setup)
            except Exception as error:
                report.lacks(f"{name}, {slots} slots a run", error)
    report.notes.append(_budget(setup, place, card))
    return report


def _kinds(setup: Setup) -> list[tuple[str, Any]]:
    from app.atoms.structure import Structure

    frames = {"aspirin": rattled_aspirins(1)[0], "216-atom silicon": silicon(3)}
    return [
        (name, Structure(a.numbers, a.positions, a.cell.array, a.pbc)) for name, a in frames.items()
    ]


def _grow(
    report: Report, backend: Any, name: str, slots: int, structure: Any, setup: Setup
) -> None:
    from app.atoms.graph import collate
    from app.atoms.neighbors import build_graphs
    from app.errors import OutOfMemory

    count, most = 1, 4 if setup.quick else setup.options.largest // len(structure)
    while count <= most:
        began = time.perf_counter()
        graph = build_graphs([structure] * count, backend.card.cutoff)
        before = 1e3 * (time.perf_counter() - began)
        graph = collate([graph])
        try:
            ms = median_ms(lambda graph=graph: backend(graph), 3)
            alone = median_ms(lambda graph=graph: backend.energies(graph), 3)
        except (MemoryError, OutOfMemory) as error:
            report.notes.append(
                f"{name}, {slots} slots a run: memory ends at {count} structures ({error})"[:300]
            )
            return
        atoms = len(graph.numbers)
        report.rows.append((name, slots, count, atoms, ms, 1e3 * atoms / ms, alone, before))
        if ms > 1e3 * LONGEST:
            return
        count *= 4


def _budget(setup: Setup, place: Any, card: Any) -> str:
    """What the service would measure on this device."""
    from app.backends.onnx import open_onnx
    from app.backends.onnx_runtime import distribution
    from app.engine.calibration import Place, calibrate_at_once, deviation
    from app.engine.limits import Limits

    backend = open_onnx(card, place, threads=setup.options.threads, device=setup.device)
    where = Place(digest="", device=setup.device, threads=backend.threads, runtime=distribution())
    found = calibrate_at_once(backend, where, "quick")
    budget = Limits.of(_settings(setup)).budget(found)
    return (
        f"the service's budget: {budget.atoms} atoms, {budget.edges} edges, {budget.structures} structures, "
        f"{1e3 * budget.seconds:.0f} ms; a batch lasts {1e3 * found.base:.3g} ms + {1e6 * found.atom:.3g} µs an atom + "
        f"{1e6 * found.edge:.3g} µs an edge, to within {deviation(found):.0%}"
    )


def _settings(setup: Setup) -> Any:
    from app.settings import Settings

    return Settings(device=setup.device, model_store=setup.options.store)
