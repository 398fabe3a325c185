"""`equipot predict`: structures from files, answers in any format, of this process or of a service.

Results are written as they finish, in the order of the input; a few batches are under way at a time,
whatever the number of structures.
"""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import islice

from app.atoms.properties import NAMES
from app.backends import Backend
from app.backends.domain import check_on_ood
from app.cli.options import add_doubtful, settings_from
from app.cli.predict.cluster import (
    add_ray_options,
    answer_on_cluster,
    check_no_url,
    check_ray_options,
)
from app.cli.predict.entries import (
    Read,
    check_files,
    expanded,
    read_entries,
    read_standard_input,
)
from app.cli.predict.flight import Answer
from app.cli.predict.forms import PREDICTED, form_of, is_single, only_one
from app.cli.predict.report import Report
from app.cli.predict.session import answer_all, answers_of
from app.cli.predict.slabs import is_in_slabs, predict_in_slabs
from app.cli.predict.target import check_paths, discard, finish, how_to_go_on, opened
from app.cli.relaxing import add_relax_options, relax_options
from app.engine.calibration_cache import CalibrationCache
from app.engine.load import load_potential
from app.engine.potential import Potential
from app.errors import InvalidRequest
from app.formats.compression import plain_name
from app.formats.notation import Smiles
from app.formats.registry import FORMATS, of_name
from app.process import be_quick
from app.protocol.encode import fits
from app.protocol.intake import SMILES, Drawing, check_drawn
from app.protocol.model_ref import ModelRef
from app.protocol.query import properties_from, relax_from
from app.protocol.request import PredictRequest
from app.relax import RelaxOptions
from app.service.choice import ref_of
from app.service.load import Load
from app.service.options import bulk_options, request_limits
from app.settings import Settings
from app.space.opening import Opening
from app.space.pool import Pool
from app.space.structure import Space
from app.store.location import absolute, located, open_store
from app.tasks import TaskCall

FAILED = 3
"""Exit code after an error that is not one of a structure."""
HERE = ("model_store", "threads", "device", "backend", "deterministic", "workers")
"""Options of a model in this process."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Files, model, what to answer and how."""
    add_input(parser)
    parser.add_argument("--properties", help=f"some of {','.join(NAMES)}, separated by commas")
    add_relax_options(parser)
    add_output(parser, PREDICTED, "as the name of the output says, else xyz")
    add_ray_options(parser)


def add_input(parser: argparse.ArgumentParser) -> None:
    """What is read, by which model it is answered, and what becomes of doubts."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="(ext)XYZ, SDF, PDB, CIF, POSCAR, MOL2, SMILES, Gaussian input, or another format that "
        "ASE reads; - is standard input",
    )
    parser.add_argument(
        "--format",
        help=f"of all files: {', '.join(FORMATS)}, or a name of ASE's; by default, as their names "
        "and contents say",
    )
    parser.add_argument(
        "--model", help="`name` or `name@version`; the default model where not given"
    )
    parser.add_argument("--strict", action="store_true", help="take warnings for errors")
    add_doubtful(parser)
    _add_place(parser)


def add_output(
    parser: argparse.ArgumentParser, forms: Sequence[str], default: str, conformers: bool = True
) -> None:
    """What is made of notations, and where results go.

    Args:
        parser: to which the options are added.
        forms: names of formats that can be written.
        default: which of them is written where none is stated, in words.
        conformers: whether several geometries of a SMILES can be asked for.
    """
    parser.add_argument("--to", choices=forms, help=f"format to write; by default, {default}")
    parser.add_argument("--json", action="store_true", help="the same as --to json")
    if conformers:
        parser.add_argument(
            "--conformers", type=int, help="geometries that are made of each SMILES (1)"
        )
    else:
        parser.set_defaults(conformers=None)
    parser.add_argument(
        "--seed",
        type=int,
        help="of the random numbers of geometries that are made of SMILES (1); the same, the same",
    )
    parser.add_argument(
        "-o", "--output", type=located, help="file to write; standard output where not given"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with an output that was begun before, if model, options and input are the same",
    )


def _add_place(parser: argparse.ArgumentParser) -> None:
    """Who answers: a service, or a model in this process."""
    parser.add_argument(
        "--server",
        metavar="URL",
        help="a running service that answers, in the place of this process",
    )
    parser.add_argument("--model-store", dest="model_store", help="folder or URL of the models")
    parser.add_argument("--threads", help="numerics threads; 0 takes all cores")
    parser.add_argument(
        "--workers",
        type=int,
        help="processes over which structures of 1000 atoms or more are divided, which share the "
        "threads; with --ray, how many workers there are (as many as have room)",
    )
    parser.add_argument("--device", help="where the model is evaluated: cpu, cuda or cuda:N")
    parser.add_argument("--backend", help="what runs an exported model: auto, onnx, aoti or kernel")
    parser.add_argument(
        "--deterministic",
        action="store_true",
        default=None,
        help="the same bits whatever else is in the batch",
    )


def run(options: argparse.Namespace) -> int:
    """Answer for all files.

    Returns:
        0 if every structure has an answer, 1 if some have none, 128 and the signal's number if one
        has ended the run.
    """
    settings = settings_from(options)
    check_ray_options(options)
    request = _request(options, settings)
    if options.ray and not is_in_slabs(options):
        return _screen(options, settings, request)
    options.files = expanded(options.files)
    if is_in_slabs(options):
        return predict_in_slabs(options, settings, request)
    return answer_files(options, settings, request)


def _screen(options: argparse.Namespace, settings: Settings, request: PredictRequest) -> int:
    """Answer for all files on a cluster, once all else that is stated can be; returns as `run`."""
    form = form_of(options, request, "xyz")
    if is_single(form):
        raise InvalidRequest(f"--to {form}: holds one structure; write xyz, json, csv or parquet")
    options.files = expanded(options.files, urls=True)
    check_files(options.files)
    return answer_on_cluster(options, settings, request, form, _drawing(options))


def answer_files(
    options: argparse.Namespace, settings: Settings, request: PredictRequest, default: str = "xyz"
) -> int:
    """Answer a request for all files, and write what is answered; returns as `run`.

    Args:
        options: of the command line.
        settings: that they override.
        request: what is asked of each structure.
        default: form in which it is written where nothing says another one.
    """
    check_no_url(options.output)
    check_paths(options)
    _check_place(options)
    drawing = _drawing(options)
    form = form_of(options, request, default)
    given = read_standard_input(options.files)
    reads = read_entries(
        options.files,
        options.format,
        given,
        drawing,
        settings.embed_seconds,
        partial(fits, kind=form),
    )
    if is_single(form):
        reads = only_one(reads, form)
    if request.task is not None:
        reads = _as_many_as_allowed(reads, request.task)
    be_quick()
    with _told(options):
        answering, model, window = _answering(options, request, settings)
    target = opened(options, request, model, form, drawing)
    with _told(options), target as (output, tally):
        share = max((read.share for read in islice(reads, tally.structures)), default=0.0)
        report = Report(tally, share, command=options.command)
        stopped = asyncio.run(answer_all(answering, reads, window, output, report))
    report.summarize(model.reference)
    if stopped is not None:
        told = how_to_go_on(options.output)
        report.say(f"ended by {stopped.name} before the input did{told}")
        return 128 + stopped
    if tally.refused and is_single(form):
        report.say(f"nothing is written, as {form} holds no structure without an answer")
        discard(options.output)
        return 1
    finish(options.output)
    return 1 if tally.refused else 0


def _as_many_as_allowed(reads: Iterator[Read], task: TaskCall) -> Iterator[Read]:
    """What is read, with an error in the place of structures after one that is to be alone."""
    for count, read in enumerate(reads, start=1):
        try:
            task.check_count(count)
        except InvalidRequest as error:
            read = read._replace(entry=replace(read.entry, structure=error))
        yield read


def _drawing(options: argparse.Namespace) -> Drawing:
    """How geometries of SMILES are made.

    Raises:
        InvalidRequest: a number out of range, or none of the files can hold SMILES.
    """
    stated = {n: value for n in Drawing._fields if (value := getattr(options, n)) is not None}
    kinds = [options.format or of_name(plain_name(file)) for file in options.files]
    check_drawn(stated, [kind or SMILES for kind in kinds])  # who has no name may hold them
    drawing = Drawing(**stated)
    Smiles("C", *drawing)
    return drawing


def _request(options: argparse.Namespace, settings: Settings) -> PredictRequest:
    """What is asked of each structure."""
    return PredictRequest(
        entries=[],
        model=options.model,
        properties=properties_from(options.properties),
        relax=_relax(options, settings),
        explicit=options.properties is not None,
        strict=options.strict,
        on_ood=options.on_ood,
        allow_odd_electrons=options.allow_odd_electrons,
    )


def _relax(options: argparse.Namespace, settings: Settings) -> RelaxOptions | None:
    """How to relax, if `--relax` or an option of relaxations says so."""
    given = relax_options(options)
    if given is None or options.server:
        return None if given is None else relax_from(given)
    return request_limits(settings).bounded(relax_from(given))


def _check_place(options: argparse.Namespace) -> None:
    """Whether what is stated of this process is of use.

    Raises:
        InvalidRequest: a service answers, which has its own.
    """
    stated = [name for name in HERE if getattr(options, name) is not None]
    if options.server and stated:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in stated)
        raise InvalidRequest(f"{words}: of this process; the service at --server has its own")


def _told(options: argparse.Namespace) -> AbstractContextManager[None]:
    """Errors of the client as ours, where a service answers."""
    if not options.server:
        return nullcontext()
    from app.cli.remote import told

    return told()


def _answering(
    options: argparse.Namespace, request: PredictRequest, settings: Settings
) -> tuple[AbstractAsyncContextManager[Answer], ModelRef, Load]:
    """What answers, which model that is, and the most that is to be under way."""
    if options.server:
        from app.cli.predict import service
        from app.cli.remote import connected

        with connected(options.server) as client:
            model, window = service.model_of(client, options.model)
        return service.answers_of(options.server, model, request), model, window
    if options.workers is not None and (request.relax is not None or request.task is not None):
        raise InvalidRequest(
            "--workers divides single evaluations, not the steps of a relaxation or a task; leave "
            "one of them out"
        )
    potential = _load(settings, options.model, options.workers)
    check_on_ood([potential.card], request.on_ood)
    relaxes = request.relax is not None or request.task is not None
    window = Load.window(potential.workers.budget, relaxes, settings.device == "cpu")
    return answers_of(potential, request, settings), ref_of(potential), window


def _load(settings: Settings, model: str | None, workers: int | None) -> Potential:
    """The model, without the limits that protect a service."""
    stored = open_store(settings.model_store, settings.cache).load(
        model or settings.default_model[0]
    )
    divider = None if workers is None else partial(_over_workers, settings, workers)
    options = replace(bulk_options(settings), divider=divider)
    return load_potential(stored, options, cache=CalibrationCache(settings.cache))


def _over_workers(settings: Settings, workers: int, backend: Backend) -> Space:
    """What divides large structures over processes that open the same model."""
    opening = Opening(
        backend.card.reference,
        absolute(settings.model_store),
        settings.threads,
        settings.device,
        settings.backend,
        settings.deterministic,
    )
    return Space(backend.card, backend.is_strictly_local, Pool(opening, workers))
