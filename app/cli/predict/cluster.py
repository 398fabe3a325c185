"""Screens: the same results from workers of a Ray cluster, in a folder of files."""

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cli.predict.entries import NEEDS_RAY, is_stream
from app.cli.predict.record import Record, forget, within
from app.cli.predict.report import Report
from app.cluster.connection import check_installed, cluster
from app.cluster.folder import ScreenFolder
from app.cluster.portions import PORTION, Portions
from app.cluster.screen import Progress, Screen
from app.cluster.shipping import PackedModel
from app.cluster.worker import Assignment, Usage
from app.cluster.workers import Resources
from app.errors import InvalidRequest
from app.formats.compression import plain_name
from app.formats.registry import WRITERS
from app.places.folder import open_folder
from app.places.url import Url, is_url
from app.protocol.intake import Drawing
from app.protocol.model_ref import ModelRef
from app.protocol.request import PredictRequest
from app.protocol.tally import Tally, counted
from app.settings import Settings
from app.store.location import open_store

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def add_ray_options(parser: argparse.ArgumentParser) -> None:
    """Declare what a screen on a cluster needs."""
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="workers of a Ray cluster answer, and --output is a folder: local (starts one), auto, "
        "HOST:PORT or ray://HOST:PORT",
    )
    parser.add_argument("--worker-cpus", type=float, help="with --ray: cores of each (1)")
    parser.add_argument(
        "--worker-gpus", type=float, help="with --ray: GPUs of each, 0.5 shares one"
    )
    parser.add_argument(
        "--portion",
        type=int,
        help=f"with --ray: most structures of a file of the output ({PORTION})",
    )


def check_ray_options(options: argparse.Namespace) -> None:
    """Whether what is stated of a cluster can be meant.

    Raises:
        InvalidRequest: it cannot; says why.
        Unavailable: Ray is not installed.
    """
    names = ("workers", "worker_cpus", "worker_gpus", "portion")
    for name in names:
        value = getattr(options, name)
        option = f"--{name.replace('_', '-')}"
        if value is not None and not options.ray and name != "workers":
            raise InvalidRequest(f"{option}: is of workers of a cluster; say --ray as well")
        if options.ray and value is not None and not value > 0:
            raise InvalidRequest(f"{option} {value:g}: a positive number is expected")
    if not options.ray:
        check_no_url(options.output)
        return
    if options.server:
        raise InvalidRequest("--ray and --server are stated; state one")
    if options.output is None:
        raise InvalidRequest("--ray: say --output, a folder for the results")
    if plain_name(str(options.output)) != str(options.output):
        raise InvalidRequest(
            f"--output {options.output}: with --ray, a folder of files that are not compressed"
        )
    if streams := [file for file in options.files if is_stream(file)]:
        raise InvalidRequest(f"--ray: {streams[0]} can be read only once; write it to a file first")
    check_installed()


def check_no_url(output: Path | str | None) -> None:
    """Whether an output is no URL.

    Raises:
        InvalidRequest: it is one.
    """
    if isinstance(output, str) and is_url(output):
        raise InvalidRequest(f"--output {Url.shown_of(output)}: {NEEDS_RAY}")


def as_workers(options: argparse.Namespace, settings: Settings) -> Settings:
    """Settings of each worker: as many threads as it has cores, unless others are stated."""
    if options.threads is not None:
        return settings
    return settings.model_copy(update={"threads": max(1, int(options.worker_cpus or 1))})


def resources_of(options: argparse.Namespace, settings: Settings) -> Resources:
    """What each worker has."""
    own = 1.0 if settings.device.startswith("cuda") else 0.0
    return Resources(options.workers, options.worker_cpus or 1.0, options.worker_gpus or own)


def answer_on_cluster(
    options: argparse.Namespace,
    settings: Settings,
    request: PredictRequest,
    form: str,
    drawing: Drawing,
) -> int:
    """Answer a request for all files; returns as `app.cli.predict.run`."""
    files = open_folder(options.output)
    suffix = WRITERS[form].suffix if form in WRITERS else f".{form}"
    folder = ScreenFolder(files, suffix)
    settings = as_workers(options, settings)
    model = open_store(settings.model_store, settings.cache).load(
        options.model or settings.default_model[0]
    )
    packed = PackedModel.of(model)
    ref = ModelRef(packed.name, packed.version, packed.digest)
    record = Record.of(ref, request, form, options.files, options.format, drawing)
    record = record.model_copy(
        update={"options": record.options | {"portion": options.portion or PORTION}}
    )
    if options.resume and files.sizes():
        record.check(within(files), options.files)
    else:
        folder.check_new()
    assignment = Assignment(packed, request, drawing, form, settings)
    resources = resources_of(options, settings)
    with cluster(options.ray), _signals() as stopped:
        report = Report(folder.open(), command=options.command)
        record.write(within(files))
        screen = Screen(assignment, folder, resources, report.say)
        size = options.portion or PORTION
        with Portions(options.files, options.format, size) as portions:
            used: dict[tuple[str, int], Usage] = {}
            for progress in screen.run(iter(portions), lambda: bool(stopped)):
                _tell(report, progress)
                if progress.usage is not None:
                    used[progress.usage.node, progress.usage.process] = progress.usage
    report.summarize(ref.reference)
    if used:
        memory, seconds = (
            max(u.memory for u in used.values()),
            sum(u.seconds for u in used.values()),
        )
        report.say(
            f"  {counted(len(used), 'worker')}, at most {memory / 1e6:.0f} MB each, {seconds:.0f} s of "
            "processors"
        )
    if stopped:
        report.say(f"ended by {stopped[0].name} before the input did; go on with --resume")
        return 128 + stopped[0]
    forget(within(files))
    return 1 if report.tally.refused else 0


def _tell(report: Report, progress: Progress) -> None:
    report.advance(progress.tally or Tally(), progress.share)
    report.show(progress.under_way)


@contextmanager
def _signals() -> Iterator[list[signal.Signals]]:
    """Where the signal will be that has ended the run; a second one ends it at once."""
    stopped: list[signal.Signals] = []
    before = {each: signal.getsignal(each) for each in SIGNALS}

    def stop(number: int, _: object) -> None:
        stopped.append(signal.Signals(number))
        for each, handler in before.items():
            signal.signal(each, handler)

    for each in SIGNALS:
        signal.signal(each, stop)
    try:
        yield stopped
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
