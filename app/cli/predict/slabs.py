"""One structure that memory need not hold: from a file or a folder of columns into another one."""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from app.atoms.regions import Whole
from app.backends import Backend
from app.backends.domain import Known, check_on_ood, doubts_of_geometry
from app.cli.predict.cluster import as_workers, resources_of
from app.cluster.connection import cluster
from app.cluster.regions import ClusterWorkers, Equipment
from app.cluster.shipping import PackedModel
from app.engine.load import open_backend
from app.errors import InvalidRequest, OutOfDomain
from app.formats.slabs import SUFFIX, Columns, Slab, open_source
from app.formats.slabs.extxyz import write_extxyz
from app.formats.slabs.lammps_data import SUFFIXES as LAMMPS
from app.formats.slabs.lammps_dump import SUFFIXES as DUMP
from app.formats.slabs.lammps_dump import check_box, write_lammps_dump
from app.formats.slabs.source import SLAB
from app.places.replacing import check_place, put_in_place
from app.places.url import is_url
from app.protocol.request import PredictRequest
from app.service.options import potential_options
from app.settings import Settings
from app.space.evaluator import Evaluator, Transport
from app.space.opening import Opening
from app.space.pool import Pool
from app.space.spill import scratch
from app.space.stream import Totals, stream
from app.store.location import absolute, open_store
from app.store.store import StoredModel

REDRAWN = 1.0
"""Seconds between two lines that say how far it is, on a terminal."""
WRITTEN = f"a folder *{SUFFIX}, or a file *.xyz or {' or '.join(f'*{each}' for each in DUMP)}"
UNUSED = ("resume", "json", "conformers", "seed", "server", "to", "deterministic", "portion")
"""Options that are of no use here."""


def is_in_slabs(options: argparse.Namespace) -> bool:
    """Whether the input or the output is a folder of columns, or the output a LAMMPS dump."""
    names = (*options.files, str(options.output or ""))
    columns = any(name.rstrip("/").lower().endswith(SUFFIX) for name in names)
    return columns or names[-1].lower().endswith(DUMP)


def predict_in_slabs(
    options: argparse.Namespace, settings: Settings, request: PredictRequest
) -> int:
    """Predict one structure; 0, or an error is raised.

    Raises:
        InvalidRequest: an option that is of no use here, or an output that is there.
        EquipotError: as `app.space.stream.stream`.
    """
    path, output = _paths(options, request)
    source = open_source(path, options.format)
    if output.name.lower().endswith(DUMP):
        check_box(source.head)
    model = open_store(settings.model_store, settings.cache).load(
        options.model or settings.default_model[0]
    )
    backend = open_backend(model, potential_options(settings))
    card = backend.card
    check_on_ood([card], request.on_ood)
    began = time.perf_counter()
    with _transport(options, settings, model, backend) as transport:
        ask = (card, backend.is_strictly_local, transport, request.derivatives, _Progress())
        if output.name.lower().endswith(SUFFIX):
            totals = stream(source, output, *ask)
            try:
                _tell_doubts(options, Known(card), source.head.whole, totals)
            except OutOfDomain:
                shutil.rmtree(output)
                raise
        else:
            with scratch(output) as folder:
                totals = stream(source, folder / f"answer{SUFFIX}", *ask)
                _tell_doubts(options, Known(card), source.head.whole, totals)
                written = folder / output.name
                _write_file(written, Columns(folder / f"answer{SUFFIX}"))
                put_in_place(written, output)
    seconds = time.perf_counter() - began
    _tell(options, card.reference, source.head.n_atoms, totals, seconds)
    return 0


def _paths(options: argparse.Namespace, request: PredictRequest) -> tuple[Path, Path]:
    """The input and the output.

    Raises:
        InvalidRequest: not one of each, or something else is asked than single energies and forces.
        OSError: a file is there that may not be written.
    """
    stated = [name for name in UNUSED if getattr(options, name)]
    if stated:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in stated)
        raise InvalidRequest(f"{words}: of no use for a structure in columns; leave it out")
    if request.relax is not None or request.task is not None:
        raise InvalidRequest("--relax: structures in columns are not relaxed; leave it out")
    if len(options.files) != 1 or options.output is None:
        raise InvalidRequest(
            f"{len(options.files)} files; of a structure in columns, one is read and --output states "
            f"where its answer goes: {WRITTEN}"
        )
    if is_url(str(options.output)):
        raise InvalidRequest(
            f"--output {options.output}: a structure in columns is written to a disk"
        )
    output = Path(options.output)
    if not output.name.lower().endswith((SUFFIX, ".xyz", ".extxyz", *DUMP)):
        lammps = output.name.lower().endswith(LAMMPS)
        why = "LAMMPS data hold neither energies nor forces; " if lammps else ""
        raise InvalidRequest(f"--output {output}: {why}{WRITTEN} is written")
    if output.is_file():
        check_place(output)
    return Path(options.files[0]), output


@contextmanager
def _transport(
    options: argparse.Namespace, settings: Settings, model: StoredModel, backend: Backend
) -> Iterator[Transport]:
    """Who evaluates: this process, processes of this machine, or workers of a cluster."""
    transport: Transport
    with ExitStack() as stack:
        if options.ray:
            stack.enter_context(cluster(options.ray))
            equipment = Equipment(PackedModel.of(model), as_workers(options, settings))
            transport = ClusterWorkers(equipment, resources_of(options, settings))
        elif options.workers is None:
            transport = Evaluator(backend, settings.device, settings.memory_mb * 1_000_000)
        else:
            place = absolute(settings.model_store)
            ask = (settings.threads, settings.device, settings.backend)
            transport = Pool(Opening(backend.card.reference, place, *ask), options.workers)
        stack.callback(transport.close)
        yield transport


def _write_file(path: Path, answer: Columns) -> None:
    """The answer as a file of one frame, extXYZ or a LAMMPS dump as its name says."""
    predicted = [name for name in ("forces", "energies") if name in answer.names]

    def slabs() -> Iterator[tuple[Slab, Mapping[str, NDArray[Any]]]]:
        for start, slab in zip(range(0, answer.head.n_atoms, SLAB), answer.slabs(), strict=True):
            rows = start, start + len(slab.numbers)
            yield slab, {name: answer.read(name, *rows) for name in predicted}

    if path.name.lower().endswith(DUMP):
        write_lammps_dump(path, answer.head, answer.slabs, slabs())
        return
    results = dict(answer.results)
    if "stress" in results:
        results["stress"] = [value for row in results["stress"] for value in row]
    write_extxyz(path, answer.head, slabs(), **results)


class _Progress:
    """Says on a terminal how far it is."""

    def __init__(self) -> None:
        self._began = self._said = time.perf_counter()

    def __call__(self, done: int, of: int) -> None:
        now = time.perf_counter()
        if sys.stderr.isatty() and now - self._said > REDRAWN:
            self._said = now
            left = (now - self._began) * (of - done) / done
            print(f"\r{done:,} of {of:,} atoms, {left:.0f} s left ", end="", file=sys.stderr)


def _tell(
    options: argparse.Namespace, model: str, atoms: int, totals: Totals, seconds: float
) -> None:
    said = f"{atoms} atom{'s' * (atoms != 1)} answered with {model}: {totals.energy:.6f} eV, {seconds:.3g} s"
    print(f"equipot {options.command}: {said}", file=sys.stderr)
    if totals.stress is not None and str(options.output).lower().endswith(DUMP):
        words = " ".join(map(repr, totals.stress.ravel().tolist()))
        told = f"stress, eV/Å³: {words}; a dump has no place for it"
        print(f"equipot {options.command}: {told}", file=sys.stderr)


def _tell_doubts(options: argparse.Namespace, known: Known, whole: Whole, totals: Totals) -> None:
    """Tell what is out of domain.

    Raises:
        OutOfDomain: there is something, and that is to be an error.
    """
    doubts = doubts_of_geometry(known, whole, totals.findings)
    for doubt in doubts:
        print(f"equipot {options.command}: {doubt.code}: {doubt.message}", file=sys.stderr)
    if doubts and (options.strict or options.on_ood == "error"):
        raise OutOfDomain("the structure is out of domain, and that is to be an error; see above")
