"""`equipot bench`: how fast a model is on this machine, so that a node can be sized."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.api.processes.shares import settings_of_each
from app.backends import Backend
from app.bench import report
from app.bench.backend import batch_speeds, best
from app.bench.relaxation import relax_speed
from app.bench.samples import Sample, crystals, molecules, of_file
from app.bench.service import ServiceSpeed, bodies, served
from app.cli.options import settings_from
from app.cli.parser import Joined, numbers_of
from app.engine.budget import Budget
from app.engine.calibration import Calibration, CalibrationKey, calibrate_at_once
from app.engine.calibration_cache import CalibrationCache
from app.engine.limits import assumed_bytes
from app.engine.load import calibration_key, open_backend
from app.errors import InvalidRequest
from app.machine import cores, machine, worker_threads
from app.relax import RelaxOptions
from app.service.options import potential_options
from app.settings import Settings
from app.store.location import open_store
from app.store.store import StoredModel

PARTS = ("backend", "relax", "service")


def configure(parser: argparse.ArgumentParser) -> None:
    """The model, what to measure of it, and for how long."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="`name` or `name@version`; the default model"
    )
    parser.add_argument(
        "--structures", type=Path, metavar="FILE", help="your own structures to measure with"
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="what to measure (all)"
    )
    parser.add_argument(
        "--clients",
        nargs="+",
        action=Joined,
        type=numbers_of(int),
        default=[1, 64],
        help="of the service, at a time (1 64)",
    )
    parser.add_argument(
        "--processes", metavar="N", help="of the service, which share the clients (1)"
    )
    parser.add_argument(
        "--in-flight", type=int, default=64, help="relaxations at a time (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of each measurement (%(default)s)"
    )
    parser.add_argument(
        "--plan",
        type=int,
        default=report.MILLION,
        metavar="N",
        help="structures for which the last table says what they take (%(default)s)",
    )
    parser.add_argument(
        "--nodes", type=int, default=1, metavar="N", help="of this kind, that share them (1)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all numbers into a file, too"
    )
    parser.add_argument("--model-store", dest="model_store", help="folder or URL of the models")
    parser.add_argument("--threads", help="numerics threads; 0 takes all cores")
    parser.add_argument("--device", help="where the model is evaluated: cpu, cuda or cuda:N")
    parser.add_argument("--backend", help="what runs an exported model: auto, onnx, aoti or kernel")


def run(options: argparse.Namespace) -> int:
    """Measure, printing each part as soon as it is known.

    Raises:
        UnknownModel: no such model.
        InputError: an option, or a structure that the model cannot answer for.
        BackendError: the runtime, the device or the service does not work.
    """
    _check(options)
    settings = settings_from(options)
    model = open_store(settings.model_store, settings.cache).load(
        options.model or settings.default_model[0]
    )
    subject = _subject(settings, model, options)
    results = _described(subject)
    results["plan"] = {"structures": options.plan, "nodes": options.nodes}
    print(report.heading(results), flush=True)
    for part in PARTS:
        if part in options.only:
            results[part] = MEASURES[part](subject, results)
            print("\n" + report.PARTS[part](results), flush=True)
    print("\n" + report.sizing(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


def _check(options: argparse.Namespace) -> None:
    if not 0 < options.seconds < float("inf"):
        raise InvalidRequest(f"--seconds: {options.seconds}; must be more than 0 and finite")
    if options.json and not options.json.parent.is_dir():
        raise InvalidRequest(f"--json: there is no folder {options.json.parent}; make it first")
    for name, value in (
        ("--in-flight", options.in_flight),
        ("--plan", options.plan),
        ("--nodes", options.nodes),
        *(("--clients", count) for count in options.clients),
    ):
        if value < 1:
            raise InvalidRequest(f"{name}: {value}; must be at least 1")


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is measured, and how."""

    options: argparse.Namespace
    settings: Settings
    model: StoredModel
    backend: Backend
    samples: list[Sample]
    key: CalibrationKey
    budget: Budget

    @property
    def reference(self) -> str:
        return self.model.card.reference


def _subject(settings: Settings, model: StoredModel, options: argparse.Namespace) -> _Subject:
    own, card = options.structures, model.card
    samples = [of_file(own, card)] if own else [molecules(card), crystals(card)]
    run_options = potential_options(settings)
    backend = open_backend(model, run_options)
    key = calibration_key(model, backend, run_options)
    calibration = _calibration(settings, backend, key)
    budget = run_options.batch.budget(calibration, assumed=assumed_bytes(backend, key.device))
    return _Subject(options, settings, model, backend, samples, key, budget)


def _calibration(settings: Settings, backend: Backend, key: CalibrationKey) -> Calibration:
    """From the cache, as the service takes it; measured now, and left there, where it is not there
    yet.
    """
    cache = CalibrationCache(settings.cache)
    calibration = cache.read(key)
    if calibration is None:
        calibration = calibrate_at_once(backend, key, "quick")
        cache.write(calibration)
    return calibration


def _described(subject: _Subject) -> dict[str, Any]:
    return {
        "model": {"reference": subject.reference, "digest": subject.model.digest},
        "machine": {
            "processor": machine(),
            **subject.key.model_dump(include={"device", "threads", "runtime"}),
        },
        "budget": {
            name: getattr(subject.budget, name)
            for name in ("atoms", "edges", "structures", "seconds", "source")
        },
    }


def _backend(subject: _Subject, _: dict[str, Any]) -> list[dict[str, Any]]:
    """Batches of each kind of structure on the backend alone."""
    kinds = []
    for sample in subject.samples:
        speeds = batch_speeds(subject.backend, sample, subject.options.seconds / 10)
        about = {"sample": sample.name, "batches": [asdict(speed) for speed in speeds]}
        kinds.append({**about, "best": asdict(best(speeds))})
    return kinds


def _relax(subject: _Subject, _: dict[str, Any]) -> dict[str, Any]:
    """Relaxations of the first kind of structure in flight."""
    options, sample = RelaxOptions(), subject.samples[0]
    in_flight, seconds = subject.options.in_flight, subject.options.seconds
    speed = relax_speed(subject.backend, sample, options, in_flight, subject.budget, seconds)
    return {
        "sample": sample.name,
        "optimizer": options.optimizer,
        "fmax": options.fmax,
        **asdict(speed),
    }


def _service(subject: _Subject, results: dict[str, Any]) -> dict[str, Any]:
    """The service with each number of clients, who send the first kind of structure."""
    sample = subject.samples[0]
    most = results["backend"][0]["best"]["rate"] if "backend" in results else None
    only = {"models": subject.reference, "default_model": subject.reference}
    given = subject.settings.model_dump(
        include={"model_store", "threads", "device", "backend", "processes"}
    )
    _calibrate_each(subject)
    with served(given | only) as server:
        ready_mb = server.memory_mb()
        speeds = [
            server.speed(bodies(sample), clients, subject.options.seconds)
            for clients in subject.options.clients
        ]
        loads = [{**asdict(speed), **_shares(speed, most)} for speed in speeds]
        return {
            "sample": sample.name,
            "processes": server.processes,
            "ready_after": server.ready_after,
            "ready_mb": ready_mb,
            "busy_mb": server.memory_mb(),
            "loads": loads,
        }


def _calibrate_each(subject: _Subject) -> None:
    """With several processes, which share the cores: measure a batch on the threads of each before, so
    that none does while it is under load.
    """
    settings = subject.settings
    if settings.processes == 1:
        return
    each = settings_of_each(settings)
    if worker_threads(each.threads) == subject.key.threads:
        return
    options = potential_options(each)
    backend = open_backend(subject.model, options)
    _calibration(settings, backend, calibration_key(subject.model, backend, options))


def _shares(speed: ServiceSpeed, most: float | None) -> dict[str, float | None]:
    """Which share of the best batch the service has, and could have if it had the clients' part of the
    cores, too: at most, for they are not always busy.
    """
    if most is None:
        return {"share": None, "share_without_clients": None}
    share, clients = speed.rate / most, speed.rate * speed.client_cpu_ms / 1000
    left = 1 - clients / cores()
    return {"share": share, "share_without_clients": share / left if left > 0 else None}


MEASURES: dict[str, Callable[[_Subject, dict[str, Any]], Any]] = {
    "backend": _backend,
    "relax": _relax,
    "service": _service,
}
