"""`equipot predict`: structures from files, answers as extXYZ or JSON, without a server."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from app.cli.serve import settings_from
from app.engine.admission import Bound
from app.engine.limits import Cache, Limits
from app.engine.potential import Potential, load_potential
from app.errors import InvalidRequest
from app.formats.extxyz import parse
from app.formats.files import read_structures
from app.protocol.request import Ask, Entry, query_properties, relax_options
from app.protocol.schemas import CellFreedom, RelaxIn, explain
from app.service.answer import Answered, Result, answer, as_json, as_xyz
from app.settings import Settings
from app.store.store import ModelStore


def configure(parser: argparse.ArgumentParser) -> None:
    """Files, model, what to answer and how."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="(ext)XYZ, or another format that ASE reads; - reads XYZ from standard input",
    )
    parser.add_argument(
        "--model", help="`name` or `name@version`; the default model where not given"
    )
    parser.add_argument(
        "--properties", help="some of energy,forces,stress,energies, separated by commas"
    )
    parser.add_argument("--relax", action="store_true", help="relax the structures")
    parser.add_argument(
        "--fmax",
        type=float,
        default=0.05,
        help="eV/Å, where a relaxation is converged (%(default)s)",
    )
    parser.add_argument(
        "--steps", type=int, default=200, help="most steps of a relaxation (%(default)s)"
    )
    parser.add_argument(
        "--optimizer", choices=["fire", "lbfgs"], default="fire", help="(%(default)s)"
    )
    parser.add_argument(
        "--cell",
        nargs="?",
        const="full",
        default="fixed",
        choices=get_args(CellFreedom),
        help="what of the cells of bulk structures may change, besides the atoms' places (full if nothing is said)",
    )
    parser.add_argument("--fixed-axes", default="", help="lattice vectors that stay, some of a,b,c")
    parser.add_argument(
        "--pressure", type=float, default=0.0, help="eV/Å³, under which cells relax (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="write JSON instead of extXYZ")
    parser.add_argument(
        "-o", "--output", type=Path, help="file to write; standard output where not given"
    )
    parser.add_argument("--model-store", dest="model_store", help="folder of the models")
    parser.add_argument("--threads", help="numerics threads; 0 takes all cores")
    parser.add_argument("--device", help="where the model is evaluated: cpu, cuda or cuda:N")
    parser.add_argument("--backend", help="what runs an exported model: auto, onnx or aoti")
    parser.add_argument(
        "--deterministic",
        action="store_true",
        default=None,
        help="the same bits whatever else is in the batch",
    )


def run(options: argparse.Namespace) -> int:
    """Answer for all files.

    Returns:
        0 if every structure has an answer, otherwise 1; the errors are named on standard error.
    """
    settings = settings_from(options)
    entries = [entry for file in options.files for entry in _entries(file)]
    relax = relax_options(_relax(options), settings)
    ask = Ask(
        entries,
        options.model,
        query_properties(options.properties),
        relax,
        options.properties is not None,
    )
    potential = _load(settings, options.model)
    results = asyncio.run(_answer(potential, ask))
    content = (
        as_json(potential, ask, results) + b"\n"
        if options.json
        else as_xyz(potential, ask, results).encode()
    )
    if options.output:
        options.output.write_bytes(content)
    else:
        sys.stdout.write(content.decode())
    return _report(entries, results)


def _entries(file: str) -> list[Entry]:
    frames = parse(sys.stdin.read()) if file == "-" else read_structures(Path(file))
    return [Entry(frame.id, frame.structure, frame.info) for frame in frames]


def _relax(options: argparse.Namespace) -> RelaxIn | None:
    if not options.relax:
        return None
    try:
        return RelaxIn(
            fmax=options.fmax,
            steps=options.steps,
            optimizer=options.optimizer,
            cell=options.cell,
            fixed_axes=options.fixed_axes.split(",") if options.fixed_axes else [],
            pressure=options.pressure,
        )
    except ValidationError as error:
        raise InvalidRequest(explain(error, RelaxIn)) from None


def _load(settings: Settings, model: str | None) -> Potential:
    """The model, with a queue that all files fit into, and without the limits that protect a
    service.
    """
    return load_potential(
        ModelStore(settings.model_store).load(model or settings.default_model),
        Limits.of(settings),
        Bound(sys.maxsize, sys.maxsize),
        max_atoms=sys.maxsize,
        max_edges=sys.maxsize,
        threads=settings.threads,
        device=settings.device,
        deterministic=settings.deterministic,
        backend=settings.backend,
        cache=Cache(settings.cache),
    )


async def _answer(potential: Potential, ask: Ask) -> list[Result]:
    potential.start()
    try:
        return await answer(potential, ask)
    finally:
        await potential.stop()


def _report(entries: list[Entry], results: list[Result]) -> int:
    failed = 0
    for number, (entry, result) in enumerate(zip(entries, results, strict=True)):
        if not isinstance(result, Answered):
            failed += 1
            name = f"structure {number}" + (f" ({entry.id})" if entry.id else "")
            print(f"equipot predict: {name}: {result}", file=sys.stderr)
    return 1 if failed else 0
