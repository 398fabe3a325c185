"""`equipot predict`: structures from files, answers as extXYZ or JSON, without a server."""

import argparse
import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from app.atoms.properties import NAMES
from app.cli.options import settings_from
from app.engine.calibration_cache import CalibrationCache
from app.engine.load import load_potential
from app.engine.potential import UNLIMITED, Potential
from app.formats.files import read_input, read_structures
from app.formats.registry import FORMATS
from app.protocol.decode import properties_from, relax_from
from app.protocol.encode import encode
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered, PredictResponse
from app.relax import RelaxOptions
from app.service.answer import answer
from app.service.options import potential_options, request_limits, safeguards
from app.settings import Settings
from app.store.store import ModelStore


def configure(parser: argparse.ArgumentParser) -> None:
    """Files, model, what to answer and how."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="(ext)XYZ, SDF, PDB, CIF, POSCAR, Gaussian input, or another format that ASE reads; "
        "- is standard input",
    )
    parser.add_argument(
        "--format",
        help=f"of all files: {', '.join(FORMATS)}, or a name of ASE's; by default, as their names "
        "and contents say",
    )
    parser.add_argument(
        "--model", help="`name` or `name@version`; the default model where not given"
    )
    parser.add_argument("--properties", help=f"some of {','.join(NAMES)}, separated by commas")
    parser.add_argument("--relax", action="store_true", help="relax the structures")
    _add_relax_options(parser)
    parser.add_argument("--strict", action="store_true", help="take warnings for errors")
    parser.add_argument(
        "--allow-odd-electrons", action="store_true", help="answer for radicals, with a warning"
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


def _add_relax_options(parser: argparse.ArgumentParser) -> None:
    """An option for each one of a relaxation, with its own description and default."""
    for name, field in RelaxOptions.model_fields.items():
        how: dict[str, Any] = {"help": f"{field.description} ({field.default or 'none'})"}
        if field.annotation in (int, float):
            how["type"] = field.annotation
        elif isinstance(field.default, str):
            how["choices"] = get_args(field.annotation)
        if name == "cell":
            how |= {"nargs": "?", "const": "full"}
        parser.add_argument(f"--{name.replace('_', '-')}", **how)


def run(options: argparse.Namespace) -> int:
    """Answer for all files.

    Returns:
        0 if every structure has an answer, otherwise 1; the errors are named on standard error.
    """
    settings = settings_from(options)
    request = PredictRequest(
        entries=[entry for file in options.files for entry in _entries(file, options.format)],
        model=options.model,
        properties=properties_from(options.properties),
        relax=_relax(options, settings),
        explicit=options.properties is not None,
        strict=options.strict,
        allow_odd_electrons=options.allow_odd_electrons,
    )
    response = asyncio.run(_answer(_load(settings, options.model), request, settings))
    content = encode(response, "json") + b"\n" if options.json else encode(response, "xyz")
    if options.output:
        options.output.write_bytes(content)
    else:
        sys.stdout.write(content.decode())
    return _report(response)


def _entries(file: str, kind: str | None) -> list[Entry]:
    whole = read_input(sys.stdin.buffer.read(), kind) if file == "-" else None
    return [Entry.of(frame) for frame in whole or read_structures(Path(file), kind)]


def _relax(options: argparse.Namespace, settings: Settings) -> RelaxOptions | None:
    if not options.relax:
        return None
    given = {name: getattr(options, name) for name in RelaxOptions.model_fields}
    relax = relax_from({name: value for name, value in given.items() if value is not None})
    request_limits(settings).check_relax(relax)
    return relax


def _load(settings: Settings, model: str | None) -> Potential:
    """The model, with a queue that all files fit into, and without the limits that protect a
    service.
    """
    options = potential_options(settings)
    most = sys.maxsize
    return load_potential(
        ModelStore(settings.model_store).load(model or settings.default_model),
        replace(options, queue=UNLIMITED, max_atoms=most, max_edges=most),
        cache=CalibrationCache(settings.cache),
    )


async def _answer(
    potential: Potential, request: PredictRequest, settings: Settings
) -> PredictResponse:
    potential.start()
    try:
        return await answer(potential, request, safeguards(settings))
    finally:
        await potential.stop()


def _report(response: PredictResponse) -> int:
    """Name what was refused, and what is doubtful, on standard error."""
    failed = 0
    pairs = zip(response.request.entries, response.results, strict=True)
    for number, (entry, result) in enumerate(pairs):
        name = f"structure {number}" + (f" ({entry.id})" if entry.id else "")
        if not isinstance(result, Answered):
            failed += 1
            print(f"equipot predict: {name}: {result}", file=sys.stderr)
            continue
        for warning in result.warnings:
            told = f"warning {warning.code}: {warning.message}"
            print(f"equipot predict: {name}: {told}", file=sys.stderr)
    return 1 if failed else 0
