"""`equipot jobs submit|list|show|results|cancel`: large jobs of a running service."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, get_args

from app.atoms.properties import NAMES
from app.atoms.structure import Structure
from app.backends.domain import OnOod
from app.cli.predict.entries import check_files, is_stream, read_entries, read_standard_input
from app.cli.relaxing import add_relax_options, relax_options
from app.cli.remote import Remote
from app.errors import InputError, InvalidFormat, InvalidRequest
from app.formats.compression import is_compressed
from app.formats.extxyz import format_frame
from app.formats.registry import FORMATS, of_name
from app.protocol.request import Entry

SERVER = "http://127.0.0.1:8000"
XYZ = "chemical/x-xyz"
BODIES = {".json": "application/json", ".msgpack": "application/x-msgpack"}
"""Files that are bodies of requests as they are, with all that is asked."""
FORMS = {"json": "application/json", "xyz": XYZ, "msgpack": "application/x-msgpack"}
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
    submit.add_argument("--webhook", metavar="URL", help="is told of the end")
    submit.add_argument("--key", help="who submits the same with the same key gets the same job")
    listing = _action(actions, "list", "a line for each job, newest first", _list)
    listing.add_argument("--limit", type=int, default=100, help="the most jobs (%(default)s)")
    listing.add_argument("--state", choices=("queued", "running", "done", "cancelled"))
    show = _action(actions, "show", "all that is known of a job", _show)
    show.add_argument("--watch", action="store_true", help="go on until it ends")
    results = _action(actions, "results", "its results as they come, until it ends", _results)
    results.add_argument("--form", choices=FORMS, default="xyz", help="of results (%(default)s)")
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
    options.act(options, Remote(options.server))
    return 0


def _action(actions: Any, name: str, text: str, act: Any) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    action.set_defaults(act=act)
    action.add_argument("--server", default=SERVER, metavar="URL", help="(%(default)s)")
    action.add_argument("--json", action="store_true", help="for programs")
    return action


def _submit(options: argparse.Namespace, remote: Remote) -> None:
    kind = BODIES.get(Path(options.files[0]).suffix.lower())
    query = _query(options)
    if kind and (len(options.files) > 1 or set(query) - {"webhook"} or options.format):
        raise InvalidRequest(
            f"{options.files[0]}: a body of a request says itself what is asked; submit it alone, "
            "without options"
        )
    check_files(options.files)
    with _body(options.files, options.format, as_it_is=kind is not None) as body:
        size = os.fstat(body.fileno()).st_size
        headers = {
            "Content-Type": kind or XYZ,
            "Content-Length": str(size),
            "Idempotency-Key": options.key or uuid.uuid4().hex,
        }
        with remote.open("POST", "/jobs", query, headers, body) as answer:
            job = json.load(answer)
    if options.json:
        print(json.dumps(job))
        return
    print(job["id"])
    if "secret" in (job.get("webhook") or {}):
        print(f"secret of its webhook: {job['webhook']['secret']}", file=sys.stderr)


def _query(options: argparse.Namespace) -> dict[str, object]:
    """What is asked of the structures, and who is told."""
    relax = relax_options(options)
    query: dict[str, object] = {} if relax is None else {"relax": "true", **relax}
    for name in ("model", "properties", "on_ood", "webhook"):
        if getattr(options, name) is not None:
            query[name] = getattr(options, name)
    for name in ("strict", "allow_odd_electrons"):
        if getattr(options, name):
            query[name] = "true"
    return query


@contextmanager
def _body(files: list[str], kind: str | None, as_it_is: bool) -> Iterator[IO[bytes]]:
    """The body to send: a file as it is where it is one, or its structures as extXYZ."""
    if as_it_is or (len(files) == 1 and _is_xyz(files[0], kind)):
        with open(files[0], "rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:
        reads = read_entries(files, kind, read_standard_input(files))
        for number, read in enumerate(reads):
            file.write(_frame(read.entry, number).encode())
        file.seek(0)
        yield file


def _is_xyz(file: str, kind: str | None) -> bool:
    if is_stream(file) or (kind or of_name(Path(file).name)) != "xyz":
        return False
    with open(file, "rb") as opened:
        return not is_compressed(opened.read(8))


def _frame(entry: Entry, number: int) -> str:
    """A structure as extXYZ; what of it was read with a doubt is told, since the service cannot.

    Raises:
        InputError: it is none.
    """
    if not isinstance(entry.structure, Structure):
        assert isinstance(entry.structure, InputError)
        raise InvalidFormat(f"structure {number}: {entry.structure}; nothing was submitted")
    for warning in entry.warnings:
        print(
            f"equipot jobs: structure {number}: {warning.code}: {warning.message}", file=sys.stderr
        )
    named = {} if entry.id is None else {"id": entry.id}
    return format_frame(entry.structure, info={**named, **entry.info})


def _list(options: argparse.Namespace, remote: Remote) -> None:
    query: dict[str, object] = {"limit": options.limit}
    if options.state:
        query["state"] = options.state
    jobs = remote.json("GET", "/jobs", query)["jobs"]
    if options.json:
        print(json.dumps(jobs))
        return
    rows = [HEADER, *map(_row, jobs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    model = f"{job['model']['name']}@{job['model']['version']}"
    counts = [str(job[name]) for name in ("structures", "done", "failed", "left")]
    rate = "" if job["rate"] is None else f"{job['rate']:.3g}"
    left = "" if job["eta_seconds"] is None else f"{job['eta_seconds']:.0f}"
    return (job["id"], job["state"], model, *counts, rate, left)


def _show(options: argparse.Namespace, remote: Remote) -> None:
    path = f"/jobs/{options.job}"
    if not options.watch:
        _print(remote.json("GET", path), options.json)
        return
    with remote.open("GET", f"{path}/events") as answer:
        for job in _events(answer):
            print(json.dumps(job) if options.json else "  ".join(_row(job)), flush=True)


def _events(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The data of server-sent events."""
    for line in lines:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


def _results(options: argparse.Namespace, remote: Remote) -> None:
    query = {"stream": "true", "offset": options.offset}
    headers = {"Accept": FORMS[options.form]}
    with remote.open("GET", f"/jobs/{options.job}/results", query, headers) as answer:
        if options.output is None:
            shutil.copyfileobj(answer, sys.stdout.buffer)
        else:
            with options.output.open("wb") as file:
                shutil.copyfileobj(answer, file)


def _cancel(options: argparse.Namespace, remote: Remote) -> None:
    _print(remote.json("DELETE", f"/jobs/{options.job}"), options.json)


def _print(job: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(job))
        return
    for name, value in job.items():
        print(f"{name}: {json.dumps(value)}")
