"""From a version of the store to a potential: backend, calibration, budget."""

from app.backends import Backend, load_backend
from app.engine.calibration import CalibrationKey
from app.engine.calibration_cache import CalibrationCache
from app.engine.limits import assumed_bytes, measured
from app.engine.observer import Observer
from app.engine.potential import Potential, PotentialOptions
from app.machine import worker_threads
from app.store.store import StoredModel


def load_potential(
    model: StoredModel,
    options: PotentialOptions,
    observer: Observer | None = None,
    cache: CalibrationCache | None = None,
) -> Potential:
    """The potential of a verified store version.

    Args:
        model: the version.
        options: how it is run.
        observer: is told of batches and graphs.
        cache: what was measured before.

    Raises:
        BackendError: the runtime is missing or cannot use the device or the artifact.
    """
    backend = open_backend(model, options)
    assumed = assumed_bytes(backend, options.device)
    if options.deterministic:
        budget = options.batch.budget(None, assumed=assumed)
        return Potential(backend, model.digest, budget, options, observer)
    cache = cache or CalibrationCache(None)
    key = calibration_key(model, backend, options)
    known = cache.read(key)
    measurement = measured(backend, key, options.batch, cache) if known is None else None
    budget = options.batch.budget(known, "cached", assumed)
    return Potential(backend, model.digest, budget, options, observer, measurement)


def open_backend(model: StoredModel, options: PotentialOptions) -> Backend:
    """The backend of a version, as the options want it.

    Raises:
        BackendError: the runtime is missing or cannot use the device or the artifact.
    """
    return load_backend(
        model, options.threads, options.device, options.deterministic, options.backend
    )


def calibration_key(
    model: StoredModel, backend: Backend, options: PotentialOptions
) -> CalibrationKey:
    """What a calibration of the model holds for."""
    return CalibrationKey(
        digest=model.digest,
        device=options.device,
        threads=worker_threads(options.threads),
        runtime=backend.runtime,
    )
