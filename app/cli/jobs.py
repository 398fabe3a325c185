"""`equipot jobs submit|list|show|results|cancel`: large jobs of a running service."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import orjson

from app.atoms.properties import NAMES
from app.atoms.structure import Structure
from app.backends.domain import OnOod
from app.cli.predict.entries import STANDARD_INPUT, check_files, expanded, is_stream
from app.cli.predict.forms import named_form
from app.cli.predict.report import CLEAR, drawn, duration
from app.cli.relaxing import add_relax_options, relax_options
from app.cli.remote import connected
from app.errors import InvalidFormat, InvalidRequest
from app.formats.compression import compressing, expand, plain_name
from app.formats.extxyz import format_frame
from app.formats.files import read_structures
from app.formats.registry import FORMATS, WRITERS, of_content, of_name
from app.places.replacing import replacing
from app.protocol.query import task_from
from app.protocol.tally import counted
from app.tasks import TASKS
from equipot import Client, Job
from equipot.files import records
from equipot.job import submission, submit
from equipot.options import query_of
from equipot.request import Request

SERVER = "http://127.0.0.1:8000"
LINES = "application/x-ndjson"
BODIES = {".json": "application/json", ".msgpack": "application/x-msgpack"}
"""Files that are bodies of requests as they are, with all that is asked."""
FORMS = ("json", "lines", "msgpack", *(kind for kind, known in WRITERS.items() if not known.single))
"""What results are written as."""
HEADER = ("JOB", "STATE", "MODEL", "STRUCTURES", "DONE", "FAILED", "LEFT", "RATE", "SECONDS LEFT")


def configure(parser: argparse.ArgumentParser) -> None:
    """An action, with what it is about."""
    parser.set_defaults(explain=partial(parser.print_help, sys.stderr), act=None)
    actions = parser.add_subparsers(metavar="ACTION")
    submit = _action(actions, "submit", "have the structures of files answered", _submit)
    submit.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="structures in any format that `equipot predict` reads; or one body of a request, "
        "*.json or *.msgpack, which says itself what is asked",
    )
    submit.add_argument("--format", help=f"of all files: {', '.join(FORMATS)}, or one of ASE's")
    submit.add_argument("--model", help="`name` or `name@version`")
    submit.add_argument("--properties", help=f"some of {','.join(NAMES)}, separated by commas")
    add_relax_options(submit)
    submit.add_argument("--strict", action="store_true", help="take warnings for errors")
    submit.add_argument("--allow-odd-electrons", action="store_true", help="answer for radicals")
    submit.add_argument(
        "--on-ood",
        choices=get_args(OnOod),
        help="whether what the model's training data never held is answered with a warning or refused",
    )
    submit.add_argument("--task", choices=tuple(TASKS), help="a task, in the place of predictions")
    submit.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the task, as temperature_K=350; several times",
    )
    submit.add_argument("--watch", action="store_true", help="say how far it is until it ends")
    submit.add_argument("--webhook", metavar="URL", help="is told of the end")
    submit.add_argument("--key", help="who submits the same with the same key gets the same job")
    listing = _action(actions, "list", "a line for each job, newest first", _list)
    listing.add_argument("--limit", type=int, default=100, help="the most jobs (%(default)s)")
    listing.add_argument("--state", choices=("queued", "running", "done", "cancelled"))
    show = _action(actions, "show", "all that is known of a job", _show)
    show.add_argument("--watch", action="store_true", help="go on until it ends")
    results = _action(actions, "results", "its results as they come, until it ends", _results)
    results.add_argument(
        "--form",
        choices=FORMS,
        help="of results; by default as the name of the output says, else xyz, of a task lines",
    )
    results.add_argument("--offset", type=int, default=0, help="number of the first structure")
    results.add_argument("-o", "--output", type=Path, help="file to write; else standard output")
    cancel = _action(actions, "cancel", "end it; what it has of results stays", _cancel)
    for one in (show, results, cancel):
        one.add_argument("job", metavar="JOB", help="its id")


def run(options: argparse.Namespace) -> int:
    """Do what is asked.

    Returns:
        0; 2, and what can be done, without an action.

    Raises:
        InputError: a file cannot be read.
        BackendError: the service cannot be reached, or refuses what is asked.
    """
    if options.act is None:
        options.explain()
        return 2
    with connected(options.server) as client:
        options.act(options, client)
    return 0


def _action(actions: Any, name: str, text: str, act: Any) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=text, allow_abbrev=False
    )
    action.set_defaults(act=act)
    action.add_argument("--server", default=SERVER, metavar="URL", help="(%(default)s)")
    action.add_argument("--json", action="store_true", help="for programs")
    return action


def _submit(options: argparse.Namespace, client: Client) -> None:
    options.files = expanded(options.files)
    kind = BODIES.get(Path(options.files[0]).suffix.lower())
    query = _query(options)
    if kind and (len(options.files) > 1 or query.keys() - {"task"} or options.format):
        raise InvalidRequest(
            f"{options.files[0]}: a body of a request says itself what is asked; submit it alone, "
            "without options but --task"
        )
    check_files(options.files)
    with (
        _body(options, query) if kind is None else _as_it_is(options.files[0], kind, query) as body
    ):
        job = client.run(submit(body, options.key, options.webhook))
    print(json.dumps(job.fields) if options.json else job.id, flush=True)
    if not options.json and "secret" in (job.fields.get("webhook") or {}):
        print(f"secret of its webhook: {job.fields['webhook']['secret']}", file=sys.stderr)
    if options.watch:
        _watch(options, client, job.id)


def _query(options: argparse.Namespace) -> dict[str, str]:
    """What is asked of the structures."""
    relax = relax_options(options)
    query: dict[str, Any] = {} if relax is None else {"relax": relax or True}
    for name in ("model", "properties", "on_ood"):
        query[name] = getattr(options, name)
    for name in ("strict", "allow_odd_electrons"):
        query[name] = getattr(options, name) or None
    return query_of(query) | _of_task(options, relaxes=relax is not None)


def _of_task(options: argparse.Namespace, relaxes: bool) -> dict[str, str]:
    """The task that is asked for, and its options, which the service would refuse, too.

    Raises:
        InvalidRequest: options without a task, one that the task does not take, or a relaxation.
    """
    stated = dict(_pair(option) for option in options.option)
    if options.task is None:
        if stated:
            raise InvalidRequest("--option: is of a task; name it with --task")
        return {}
    if relaxes or options.properties:
        wrong = "--relax and its options" if relaxes else "--properties"
        raise InvalidRequest(f"{wrong}: of predictions, and a task is asked for")
    task_from(TASKS[options.task], stated)
    return {"task": options.task, **stated}


def _pair(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals:
        raise InvalidRequest(f"--option {option}: expected NAME=VALUE, as temperature_K=350")
    return name, value


@contextmanager
def _as_it_is(file: str, kind: str, query: Mapping[str, str]) -> Iterator[Request]:
    """What submits the body of a request."""
    with open(file, "rb") as body:
        yield submission(kind, query, body)


@contextmanager
def _body(options: argparse.Namespace, query: Mapping[str, str]) -> Iterator[Request]:
    """What submits the files: one as it is, several in lines of what they hold.

    Raises:
        InputError: a file cannot be read, or a structure that only ASE reads is none.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [_as_file(file, Path(folder)) for file in options.files]
        kinds: list[str | None] = [options.format or _kind(file) for file in files]
        known = FORMATS.get(kinds[0] or "")
        if len(files) == 1 and known is not None:
            with files[0].open("rb") as content:
                yield submission(known.media_types[0], query, content)
            return
        with tempfile.TemporaryFile() as lines:
            for file, kind in zip(files, kinds, strict=True):
                for item in records(file, kind) if kind in FORMATS else _frames(file, kind):
                    lines.write(orjson.dumps(item) + b"\n")
            lines.seek(0)
            yield submission(LINES, query, lines)


def _as_file(file: str, folder: Path) -> Path:
    """A file that can be read twice: what can be read once, written to a folder."""
    if not is_stream(file):
        return Path(file)
    path = folder / f"input-{len(list(folder.iterdir()))}"
    path.write_bytes(sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes())
    return path


def _kind(file: Path) -> str | None:
    """The format of ours that a file has, by its name, else by its content."""
    return of_name(plain_name(file.name)) or of_content(expand(file.read_bytes()))


def _frames(file: Path, kind: str | None) -> Iterator[dict[str, str]]:
    """What ASE alone reads of a file, as items of a request; what of it is in doubt is told, since the
    service cannot.

    Raises:
        InputError: a structure is none.
    """
    for number, frame in enumerate(read_structures(file, kind)):
        if not isinstance(frame.structure, Structure):
            raise InvalidFormat(
                f"{file}: structure {number}: {frame.structure}; nothing was submitted"
            )
        for warning in frame.warnings:
            print(
                f"equipot jobs: {file}: structure {number}: {warning.code}: {warning.message}",
                file=sys.stderr,
            )
        named = {} if frame.id is None else {"id": frame.id}
        yield {
            "content": format_frame(frame.structure, info={**named, **frame.info}),
            "format": "xyz",
        }


def _list(options: argparse.Namespace, client: Client) -> None:
    jobs = [job.fields for job in client.jobs.list(limit=options.limit, state=options.state)]
    if options.json:
        print(json.dumps(jobs))
        return
    rows = [HEADER, *map(_row, jobs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())


def _row(job: Mapping[str, Any]) -> tuple[str, ...]:
    models = job.get("models") or [job["model"]]
    model = ",".join(f"{each['name']}@{each['version']}" for each in models)
    counts = [str(job[name]) for name in ("structures", "done", "failed", "left")]
    rate = "" if job["rate"] is None else f"{job['rate']:.3g}"
    left = "" if job["eta_seconds"] is None else f"{job['eta_seconds']:.0f}"
    return (job["id"], job["state"], model, *counts, rate, left)


def _show(options: argparse.Namespace, client: Client) -> None:
    if not options.watch:
        _print(client.jobs.get(options.job), options.json)
        return
    _watch(options, client, options.job)


def _watch(options: argparse.Namespace, client: Client, name: str) -> None:
    """Say how far a job is until it ends: by a bar on a terminal, else by a line for each change."""
    has_bar = sys.stderr.isatty() and not options.json
    for job in client.jobs.events(name):
        if has_bar:
            end = "\n" if job.is_over else ""
            width = shutil.get_terminal_size().columns - 1
            print(CLEAR + bar(job)[:width], end=end, file=sys.stderr, flush=True)
        else:
            told = (*_row(job.fields), *map(str, job.under_way))
            print(json.dumps(job.fields) if options.json else "  ".join(told), flush=True)


def bar(job: Job) -> str:
    """How far a job is, with what its task does of each structure counted by its share."""
    stages = [each.done / each.total for each in job.under_way if each.total]
    ended = job.done + job.failed
    parts = [job.state, f"{ended} of {counted(job.structures, 'structure')}"]
    if job.failed:
        parts.append(f"{job.failed} failed")
    if job.eta_seconds is not None and not job.is_over:
        parts.append(f"{duration(job.eta_seconds)} left")
    parts += map(str, job.under_way[:1])
    return drawn(min(1.0, (ended + sum(stages)) / job.structures), ", ".join(parts))


def _results(options: argparse.Namespace, client: Client) -> None:
    named = options.form or named_form(options.output, FORMS, "--form")
    form = named or ("lines" if client.jobs.get(options.job).task else "xyz")
    parts = client.jobs.download(options.job, form, offset=options.offset)
    if options.output is None:
        for part in parts:
            sys.stdout.buffer.write(part)
        return
    first = next(parts, b"")  # who may not have them opens nothing
    with (
        replacing(options.output) as file,
        compressing(file, options.output.name) as written,
    ):
        written.writelines(chain([first], parts))


def _cancel(options: argparse.Namespace, client: Client) -> None:
    _print(client.jobs.cancel(options.job), options.json)


def _print(job: Job, as_json: bool) -> None:
    if as_json:
        print(json.dumps(job.fields))
        return
    for name, value in job.fields.items():
        print(f"{name}: {json.dumps(value)}")
