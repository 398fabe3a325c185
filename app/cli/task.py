"""`equipot thermo` and all other tasks: a command each, with the task's own options."""

import argparse
import json
from collections.abc import Iterator
from inspect import isclass
from pathlib import Path
from typing import Any, get_args, get_origin

import numpy as np
import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.atoms.structure import Structure
from app.cli import predict
from app.cli.options import settings_from
from app.cli.parser import Joined, numbers_of
from app.cli.predict.entries import expanded
from app.cli.predict.forms import OF_TASKS
from app.errors import EquipotError, InputError, InvalidFormat
from app.formats.files import read_structures
from app.protocol.query import task_from
from app.protocol.request import PredictRequest
from app.service.options import request_limits
from app.tasks import TASKS, TaskKind

FAILED = predict.FAILED
OWN = "task_"
"""Before the names of a task's options, which may be those of other options."""


def configure(parser: argparse.ArgumentParser, name: str) -> None:
    """Files, model, and the options of a task."""
    predict.add_input(parser)
    own = parser.add_argument_group(f"options of {name}")
    fields = TASKS[name].options.model_fields
    for field, described in fields.items():
        how: dict[str, Any] = {"dest": f"{OWN}{field}", "help": _help(described)}
        parts = [*_kinds(described.annotation)]
        kinds = {*parts}
        if any(isclass(kind) and issubclass(kind, BaseModel) for kind in kinds):
            how |= {"type": _objects, "metavar": "FILE"}
        elif bool in kinds:
            how |= {"action": argparse.BooleanOptionalAction, "default": None}
        elif int in kinds or float in kinds:
            how["type"] = float if float in kinds else int
        else:
            how["choices"] = get_args(described.annotation)
            how["type"] = type(how["choices"][0])
        if parts.count(tuple) > 1:
            how |= {"type": _json, "metavar": "[[…], …]"}
        elif tuple in kinds and "metavar" not in how:
            how |= {"nargs": "+", "action": Joined, "type": numbers_of(how["type"])}
        if "type" in how and "choices" not in how:
            how.setdefault("metavar", field.upper())
        if described.is_required():
            how["required"] = True
        own.add_argument(f"--{field.replace('_', '-')}", **how)
    default = "json where the name of the output says so, else text"
    predict.add_output(parser, OF_TASKS, default, conformers="conformers" not in fields)


def _json(text: str) -> Any:
    """Lists of lists, as JSON."""
    try:
        return json.loads(text)
    except ValueError:
        told = f"'{text}' is no list of lists as JSON has it, as in [[0, 1], [2, 3]]"
        raise argparse.ArgumentTypeError(told) from None


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of."""
    yield get_origin(annotation) or annotation
    for part in get_args(annotation):
        yield from _kinds(part)


def _objects(file: str) -> Any:
    """What an option holds that is no number or word: that of a JSON file, or structures of any other."""
    path = Path(file)
    try:
        if path.suffix == ".json":
            return orjson.loads(path.read_bytes())
        return [_plain(frame.structure) for frame in read_structures(path)]
    except orjson.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{file}: no JSON: {error}") from None
    except EquipotError as error:
        raise argparse.ArgumentTypeError(f"{file}: {error}") from None
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{file}: {error.strerror}") from None


def _plain(structure: object) -> dict[str, Any]:
    """A structure of a file, by the names of fields.

    Raises:
        EquipotError: it is none.
    """
    if isinstance(structure, EquipotError):
        raise structure
    if not isinstance(structure, Structure):
        raise InvalidFormat("a SMILES, which has no geometry; state a file with positions")
    plain: dict[str, Any] = {
        "symbols": structure.symbols,
        "positions": structure.positions.tolist(),
    }
    if structure.pbc.any():
        plain |= {"cell": structure.cell.tolist(), "pbc": structure.pbc.tolist()}
    if structure.charge:
        plain["charge"] = structure.charge
    if structure.multiplicity is not None:
        plain["multiplicity"] = structure.multiplicity
    if structure.fixed is not None:
        plain["fixed"] = np.flatnonzero(structure.fixed).tolist()
    return plain


def _help(described: FieldInfo) -> str:
    if described.is_required():
        return f"{described.description} (required)"
    default = described.default
    return f"{described.description} ({'none' if default is None or default is False else default})"


def _as_option(message: str, kind: TaskKind) -> str:
    """What is wrong with an option, by its name on the command line."""
    name = message.partition(":")[0].partition(".")[0]
    if name not in kind.options.model_fields:
        return message
    return f"--{name.replace('_', '-')}{message.removeprefix(name)}"


def run(options: argparse.Namespace) -> int:
    """Do a task for the structures of all files.

    Returns:
        As `predict`.
    """
    settings = settings_from(options)
    options.files = expanded(options.files)
    kind = TASKS[options.command]
    stated = {name: getattr(options, f"{OWN}{name}") for name in kind.options.model_fields}
    try:
        task = task_from(kind, {name: value for name, value in stated.items() if value is not None})
        task = task if options.server else request_limits(settings).bounded_task(task)
    except InputError as error:
        raise type(error)(_as_option(str(error), kind)) from None
    request = PredictRequest(
        entries=[],
        model=options.model,
        task=task,
        strict=options.strict,
        on_ood=options.on_ood,
        allow_odd_electrons=options.allow_odd_electrons,
    )
    return predict.answer_files(options, settings, request, default="text")
