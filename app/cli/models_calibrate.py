"""`equipot models calibrate`: how fast models of the store are on this machine."""

import json
from pathlib import Path

from app.cli.models import table
from app.engine.budget import Cost
from app.engine.calibration import Calibration, Measurement, calibrate_at_once, deviation
from app.engine.calibration_cache import CalibrationCache
from app.engine.load import calibration_key, open_backend
from app.service.options import batch_limits, potential_options
from app.settings import Settings
from app.store.location import open_store


def calibrate(settings: Settings, references: list[str], as_json: bool) -> int:
    """Measure one model after the other; each is printed as soon as it is known.

    Args:
        settings: device, threads, store and cache.
        references: `name@version` of the models.
        as_json: for programs, once all are known.

    Returns:
        0.

    Raises:
        EquipotError: a model cannot be loaded or run.
    """
    measured = []
    for reference in references:
        calibration = _measure(settings, reference)
        path = CalibrationCache(settings.cache).write(calibration)
        summary = _calibration_summary(settings, reference, calibration, path)
        measured.append({"model": reference, **calibration.model_dump(mode="json")})
        if not as_json:
            print(f"{table(_measurements(calibration))}\n\n{table(summary)}\n")
    if as_json:
        print(json.dumps(measured, indent=2))
    return 0


def _measure(settings: Settings, reference: str) -> Calibration:
    """Measure a model on the device and with the threads of the settings.

    Raises:
        UnknownModel: no such model.
        CorruptModel: its files are not what its card says.
        BackendError: the runtime is missing or cannot use the device.
    """
    model = open_store(settings.model_store, settings.cache).load(reference)
    options = potential_options(settings)
    backend = open_backend(model, options)
    return calibrate_at_once(backend, calibration_key(model, backend, options), "thorough")


def _calibration_summary(
    settings: Settings, reference: str, calibration: Calibration, path: Path | None
) -> list[tuple[str, ...]]:
    """What was measured, as rows of a table, and what follows from it."""
    budget = batch_limits(settings).budget(calibration)
    key, best, growth = calibration.key, calibration.best, calibration.bytes_per_edge
    speed = (
        f"{1e3 * calibration.base:.2f} ms + {1e6 * calibration.atom:.2f} µs an atom + "
        f"{1e6 * calibration.edge:.2f} µs an edge"
    )
    sizes = f"{budget.atoms} atoms, {budget.edges} edges, {budget.structures} structures"
    return [
        (reference, f"{key.device}, threads: {key.threads}, {key.runtime}"),
        ("a batch takes", f"{speed} (within {100 * deviation(calibration):.0f} %)"),
        ("memory", "not measured" if growth is None else f"{growth / 1e3:.1f} kB an edge"),
        ("best batch", f"{best.structures} molecules of 21 atoms, {1e3 * best.seconds:.1f} ms"),
        ("budget", f"{sizes} ({budget.source})"),
        ("longest batch", f"{1e3 * budget.seconds:.0f} ms"),
        (
            "kept in",
            str(path) if path else "nothing: there is no cache folder, or it cannot be written",
        ),
    ]


def _measurements(calibration: Calibration) -> list[tuple[str, ...]]:
    """The batches that were measured, as rows of a table."""
    header = ("STRUCTURES", "ATOMS", "EDGES", "MS", "µS/EDGE", "PREDICTED MS", "PEAK MB")
    return [header, *(_batch(calibration, batch) for batch in calibration.measurements)]


def _batch(calibration: Calibration, batch: Measurement) -> tuple[str, ...]:
    predicted = calibration.speed.seconds(Cost(batch.atoms, batch.edges))
    return (
        *(str(batch.structures), str(batch.atoms), str(batch.edges)),
        f"{1e3 * batch.seconds:.2f}",
        f"{1e6 * batch.seconds / max(1, batch.edges):.2f}",
        f"{1e3 * predicted:.2f}",
        f"{batch.peak / 1e6:.0f}",
    )
