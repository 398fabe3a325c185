"""`equipot ipi`: a model as a driver of i-PI, or of what else speaks its socket protocol."""

import argparse
import math
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.atoms.structure import Structure
from app.cli.options import add_doubtful
from app.cli.predict.service import model_of
from app.cli.remote import connected, told
from app.errors import BackendError, InputError, InvalidFormat, InvalidRequest
from app.formats.files import read_structures
from app.integrations.ipi import Answer, Driver
from equipot.options import PredictOptions
from equipot.results import Result

HERE = {"model_store": "store", "threads": "threads", "device": "device", "backend": "backend"}
"""Options of a model in this process, by the names that it has for them."""
PREFIX = "/tmp/ipi_"
"""Of the names of Unix sockets."""
PAUSE = 0.2
"""Seconds between two attempts to connect."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Whom to connect to, the atoms, and the model."""
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="the atoms, in the order of those that are sent: elements, charge, and whether they are "
        "periodic; positions and cell are those that are sent",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--address", metavar="HOST:PORT", help="where i-PI listens")
    where.add_argument(
        "--unix", metavar="NAME", help=f"the same, of a Unix socket: {PREFIX}NAME, or a path"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="until it listens, and until it speaks (%(default)s)",
    )
    parser.add_argument("--format", help="of the file; by default, as its name and content say")
    parser.add_argument("--charge", type=int, help="in the place of the file's")
    parser.add_argument("--multiplicity", type=int, help="in the place of the file's")
    parser.add_argument(
        "--pbc",
        action="store_true",
        help="periodic in all directions, though the file says nothing",
    )
    parser.add_argument("--model", help="`name` or `name@version`; else the first default")
    add_doubtful(parser)
    parser.add_argument("--server", metavar="URL", help="a service that answers, not this process")
    parser.add_argument("--model-store", help="folder or URL of the models")
    parser.add_argument("--threads", type=int, help="numerics threads; 0 takes all cores")
    parser.add_argument("--device", help="where the model is evaluated: cpu, cuda or cuda:N")
    parser.add_argument("--backend", help="what runs an exported model: auto, onnx, aoti or kernel")


def run(options: argparse.Namespace) -> int:
    """Answer until the other side has enough.

    Raises:
        InputError: of the file, or of what is sent.
        BackendError: nobody listens there, or the service or the model fails.
    """
    atoms = _atoms(options)
    with _answering(options) as answer, _connection(options) as connection:
        if not any(atoms["pbc"]):
            _say(
                "not periodic: the cell that is sent is not used, and the virial is zero (--pbc "
                "makes the atoms periodic)"
            )
        driver = Driver(connection, atoms, _telling(answer))
        try:
            with told():
                driver.run()
        except ConnectionError as error:
            raise BackendError(f"the connection broke: {error.strerror}") from None
        finally:
            _say(f"{driver.evaluated} structures evaluated")
    return 0


def _atoms(options: argparse.Namespace) -> dict[str, Any]:
    """Fields of the atoms without their places."""
    frames = read_structures(options.file, options.format)
    if len(frames) != 1:
        raise InvalidFormat(f"{options.file}: {len(frames)} structures; one is expected")
    (frame,) = frames
    structure = frame.structure
    if isinstance(structure, InputError):
        raise structure
    if not isinstance(structure, Structure):
        raise InvalidFormat(
            f"{options.file}: no atoms; make them of the SMILES first, with predict"
        )
    for warning in frame.warnings:
        _say(f"{options.file}: {warning.code}: {warning.message}")
    fields = {
        "numbers": structure.numbers,
        "pbc": [True] * 3 if options.pbc else structure.pbc.tolist(),
        "charge": structure.charge if options.charge is None else options.charge,
        "multiplicity": options.multiplicity or structure.multiplicity,
    }
    return {name: value for name, value in fields.items() if value is not None}


@contextmanager
def _answering(options: argparse.Namespace) -> Iterator[Answer]:
    """What computes, for the length of a block.

    Raises:
        InvalidRequest: what is of a model in this process is stated of a service.
    """
    here = {HERE[n]: value for n in HERE if (value := getattr(options, n)) is not None}
    asked = PredictOptions(allow_odd_electrons=options.allow_odd_electrons, on_ood=options.on_ood)
    if options.server is None:
        from equipot.local import Local

        with told():
            local = Local(model=options.model, **here, **asked)
        yield lambda structures: local.answers(structures, False)
        return
    if here:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in HERE if HERE[name] in here)
        raise InvalidRequest(f"{words}: of this process; the service at --server has its own")
    asked["properties"] = ["energy", "forces", "stress"]
    with connected(options.server) as client:
        asked["model"] = model_of(client, options.model)[0].reference  # the same one to the end
        yield lambda structures: client.predict(structures, **asked).raise_for_errors()


def _telling(answer: Answer) -> Answer:
    """The same, which tells where doubts begin."""
    known: set[str] = set()

    def one(structures: Sequence[Mapping[str, Any]]) -> Sequence[Result]:
        results = answer(structures)
        for warning in (warning for result in results for warning in result.warnings):
            if warning.code not in known:
                known.add(warning.code)
                _say(f"{warning.code}: {warning.message} (further ones are not told here)")
        return results

    return one


@contextmanager
def _connection(options: argparse.Namespace) -> Iterator[socket.socket]:
    """To who listens at the address that is given.

    Raises:
        InvalidRequest: no address.
        BackendError: nobody listens there in time.
    """
    if not 0 <= options.wait < math.inf:
        raise InvalidRequest(f"--wait {options.wait:g}: a number of seconds is expected")
    until = time.monotonic() + options.wait
    while True:
        try:
            connection = _connect(options)
            break
        except OSError as error:
            if time.monotonic() > until:
                place = options.address or _path(options.unix)
                raise BackendError(f"nobody listens at {place}: {error.strerror}") from None
            time.sleep(PAUSE)
    with connection:
        connection.settimeout(max(options.wait, PAUSE))
        yield connection


def _connect(options: argparse.Namespace) -> socket.socket:
    if options.unix is not None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(_path(options.unix))
        except OSError:
            connection.close()
            raise
        return connection
    host, _, port = options.address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidRequest(
            f"--address {options.address}: expected as in localhost:31415, with a port of 1 to 65535"
        )
    connection = socket.create_connection((host.strip("[]"), int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _path(name: str) -> str:
    return name if "/" in name else PREFIX + name


def _say(text: str) -> None:
    print(f"equipot ipi: {text}", file=sys.stderr, flush=True)
