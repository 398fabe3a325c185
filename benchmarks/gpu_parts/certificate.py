"""The bundled model's answers on the device, beside those of the CPU, for which it was certified."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.gpu_parts.report import Report, Setup

REPEATS = 3


def measure(setup: Setup) -> Report:
    """Largest deviations for each way to run a session; fails where one is over the tolerance on
    the card.
    """
    from app.atoms.neighbors import build_graph
    from app.backends import load_backend
    from app.backends.artifact import Execution
    from app.backends.onnx import open_onnx
    from app.store.store import ModelStore

    report = Report(
        (
            "execution",
            "structures",
            "energy, eV/atom",
            "forces, eV/Å",
            "stress, eV/Å³",
            "within",
            "same bits",
        )
    )
    model = ModelStore(setup.options.store).load(setup.options.model)
    assert model.card.certificate is not None
    allowed = model.card.certificate.tolerance
    report.notes.append(
        f"tolerance of the card: {allowed.energy_per_atom:g} eV/atom, {allowed.forces:g} eV/Å, "
        f"{allowed.stress:g} eV/Å³; energies alone count as well; same bits: {REPEATS} runs of each batch"
    )
    batches = [
        [build_graph(s, model.card.cutoff) for s in batch]
        for batch in _batches(setup, model.card.elements)
    ]
    reference = load_backend(model)
    expected = [[reference(graph) for graph in batch] for batch in batches]
    for execution in Execution:
        try:
            backend = open_onnx(model.card, model.folder, device=setup.device, execution=execution)
            worst, same = _compare(backend, batches, expected)
        except Exception as error:
            report.lacks(f"execution {execution.name.lower()}", error)
            report.failed = True
            continue
        within = bool((worst <= [allowed.energy_per_atom, allowed.forces, allowed.stress]).all())
        report.failed |= not within
        report.rows.append(
            (execution.name.lower(), sum(map(len, batches)), *map(float, worst), within, same)
        )
    return report


def _batches(setup: Setup, elements: Sequence[str]) -> list[list[Any]]:
    """Structures in batches: alone, mixed, a crystal; from one atom to many."""
    from app.training.export import synthetic as samples

    sizes = (2, 5, 13, 34) if setup.quick else (2, 3, 5, 8, 13, 21, 34, 55, 89, 144)
    clusters = [samples.cluster(elements, n, seed=n) for n in sizes]
    boxes = [
        samples.box(elements, n, seed=n)
        for n in ((1, 7) if setup.quick else (1, 2, 7, 16, 40, 120))
    ]
    many = [
        samples.cluster(elements, 4 + i % 29, seed=100 + i) for i in range(4 if setup.quick else 64)
    ]
    return [
        *[[one] for one in (*samples.isolated(elements), *clusters, *boxes)],
        [*clusters, *boxes],
        many,
    ]


def _compare(
    backend: Any, batches: list[list[Any]], expected: list[list[Any]]
) -> tuple[np.ndarray, bool]:
    """Largest differences of energy per atom, forces and stress; whether every repeated run gave
    the same bits.
    """
    from app.atoms.graph import collate
    from app.atoms.prediction import split

    worst, same = np.zeros(3), True
    for batch, alone in zip(batches, expected, strict=True):
        graph = collate(batch)
        runs = [backend(graph) for _ in range(REPEATS)]
        same &= all(np.array_equal(run.forces, runs[0].forces) for run in runs)
        energies = backend.energies(graph).energy
        for place, (found, right) in enumerate(zip(split(runs[-1], graph), alone, strict=True)):
            energy = max(abs(e - right.energy[0]) for e in (found.energy, energies[place])) / len(
                right.forces
            )
            stress = 0.0 if found.stress is None else np.abs(found.stress - right.stress[0]).max()
            worst = np.maximum(worst, [energy, np.abs(found.forces - right.forces).max(), stress])
    return worst, same
