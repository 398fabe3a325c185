"""`equipot models calibrate`: measure models thoroughly, and remember it for the service."""

from app.backends import load_backend
from app.engine.calibration import Calibration, Point, calibrate_at_once, deviation
from app.engine.limits import Cache, Limits
from app.engine.potential import place_of
from app.settings import Settings
from app.store.store import ModelStore


def measure(settings: Settings, reference: str) -> Calibration:
    """Measure a model on the device and with the threads of the settings, and write it to the
    cache.

    Raises:
        UnknownModel: no such model.
        CorruptModel: its files are not what its card says.
        BackendError: the runtime is missing or cannot use the device.
    """
    model = ModelStore(settings.model_store).load(reference)
    backend = load_backend(
        model, threads=settings.threads, device=settings.device, backend=settings.backend
    )
    return calibrate_at_once(
        backend, place_of(model, backend, settings.threads, settings.device), "thorough"
    )


def report(settings: Settings, reference: str, found: Calibration) -> list[tuple[str, ...]]:
    """What was measured, as rows of a table, and what follows from it."""
    path = Cache(settings.cache).write(found)
    budget = Limits.of(settings).budget(found)
    memory = (
        "not measured"
        if found.bytes_per_edge is None
        else f"{found.bytes_per_edge / 1e3:.1f} kB an edge"
    )
    speed = f"{1e3 * found.base:.2f} ms + {1e6 * found.atom:.2f} µs an atom + {1e6 * found.edge:.2f} µs an edge"
    return [
        (reference, f"{found.place.device}, threads: {found.place.threads}, {found.place.runtime}"),
        ("a batch takes", f"{speed} (within {100 * deviation(found):.0f} %)"),
        ("memory", memory),
        (
            "best batch",
            f"{found.best.structures} molecules of 21 atoms, {1e3 * found.best.seconds:.1f} ms",
        ),
        (
            "budget",
            f"{budget.atoms} atoms, {budget.edges} edges, {budget.structures} structures ({budget.source})",
        ),
        ("longest batch", f"{1e3 * budget.seconds:.0f} ms"),
        (
            "kept in",
            str(path) if path else "nothing: there is no cache folder, or it cannot be written",
        ),
    ]


def points(found: Calibration) -> list[tuple[str, ...]]:
    """The batches that were measured, as rows of a table."""
    header = ("STRUCTURES", "ATOMS", "EDGES", "MS", "µS/EDGE", "PREDICTED MS", "PEAK MB")
    return [header, *(_row(found, point) for point in found.points)]


def _row(found: Calibration, point: Point) -> tuple[str, ...]:
    predicted = found.base + found.atom * point.atoms + found.edge * point.edges
    numbers = (
        f"{1e3 * point.seconds:.2f}",
        f"{1e6 * point.seconds / max(1, point.edges):.2f}",
        f"{1e3 * predicted:.2f}",
    )
    return (
        str(point.structures),
        str(point.atoms),
        str(point.edges),
        *numbers,
        f"{point.peak / 1e6:.0f}",
    )
