"""What is asked beside a body of files: query parameters, fields of a form, options."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from app.atoms.properties import DEFAULT, NAMES, Name
from app.backends.domain import OnOod
from app.errors import InvalidRequest
from app.protocol.intake import Drawing
from app.protocol.request import PredictRequest
from app.protocol.validation import validate
from app.relax import RelaxOptions
from app.tasks import TaskCall, TaskKind

RELAX_FIELDS = tuple(RelaxOptions.model_fields)
SWITCHES = ("strict", "allow_odd_electrons")
DRAWING = Drawing._fields
COMMON = ("model", *SWITCHES, "on_ood", *DRAWING)
QUERY = (*COMMON, "properties", "relax", *RELAX_FIELDS)
ON_OOD: tuple[OnOod, ...] = get_args(OnOod)
SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
LONGEST_NUMBER = 18
"""Digits."""


def asked_of_lines(
    given: Sequence[tuple[str, str]], task: TaskKind | None = None
) -> PredictRequest:
    """The request without its structures, of which each line says how its geometry is made.

    Raises:
        InvalidRequest: as for `asked`, or a parameter that belongs into the lines.
    """
    for name, _ in given:
        if name in DRAWING:
            raise InvalidRequest(f"query parameter {name}: state it in each line")
    return asked(given, task)[0]


def asked(
    given: Sequence[tuple[str, str]], task: TaskKind | None = None
) -> tuple[PredictRequest, Drawing]:
    """The request without its structures, and how geometries of SMILES are made.

    Args:
        given: names and values.
        task: that is asked for, whose options stand among them in the place of a relaxation's.

    Raises:
        InvalidRequest: a parameter is unknown, given twice, or has a value that it cannot have.
    """
    query = _once(given, QUERY if task is None else (*COMMON, *task.options.model_fields))
    request = PredictRequest(
        entries=[],
        model=query.get("model"),
        on_ood=_on_ood(query),
        strict=_switch(query, "strict", "false"),
        allow_odd_electrons=_switch(query, "allow_odd_electrons", "false"),
    )
    if task is None:
        request = replace(
            request,
            properties=properties_from(query.get("properties")),
            relax=_query_relax(query),
            explicit="properties" in query,
        )
    else:
        request = replace(request, task=_query_task(task, query))
    return request, Drawing(**{name: _whole(query, name) for name in DRAWING if name in query})


def _once(query: Sequence[tuple[str, str]], known: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in query:
        if name in values:
            raise InvalidRequest(f"query parameter {name[:80]}: is given twice; give it once")
        values[name] = value
    for name in values:
        if name not in known:
            told = ", ".join(known)
            raise InvalidRequest(f"query parameter '{name[:80]}' is unknown; known are {told}")
    return values


def properties_from(text: str | None) -> tuple[Name, ...]:
    """Properties from a list separated by commas; the default ones where there is none.

    Raises:
        InvalidRequest: naming the unknown one, and the known ones.
    """
    if text is None:
        return DEFAULT
    known: dict[str, Name] = {name: name for name in NAMES}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise InvalidRequest(f"properties: '{name}' is unknown; known are {', '.join(NAMES)}")
    return tuple(known[name] for name in names)


def relax_from(texts: Mapping[str, object]) -> RelaxOptions:
    """How to relax, from options given as text; `fixed_axes` is a list separated by commas.

    Raises:
        InvalidRequest: naming the option, its value and what it may be.
    """
    options = dict(texts)
    if isinstance(axes := options.get("fixed_axes"), str):
        options["fixed_axes"] = axes.split(",") if axes else ()
    return validate(RelaxOptions, options, strict=False)


def _query_relax(query: Mapping[str, str]) -> RelaxOptions | None:
    options = {name: query[name] for name in RELAX_FIELDS if name in query}
    if not _switch(query, "relax", str(bool(options))):
        if options:
            raise InvalidRequest(f"relax is false, and {', '.join(options)} is for relaxing")
        return None
    try:
        return relax_from(options)
    except InvalidRequest as error:
        raise InvalidRequest(f"query parameter {error}") from None


def task_from(kind: TaskKind, texts: Mapping[str, object]) -> TaskCall:
    """A task, from its options given as text; several values are separated by commas, or JSON.

    Raises:
        InvalidRequest: naming the option, its value and what it may be.
    """
    return TaskCall(kind, validate(kind.options, dict(map(_parsed, texts.items())), strict=False))


def _parsed(option: tuple[str, object]) -> tuple[str, object]:
    """A list that is given as text, as JSON or separated by commas, and everything else as it is."""
    name, value = option
    if not isinstance(value, str):
        return option
    if not value.startswith("["):
        return (name, value.split(",")) if "," in value else option
    try:
        return name, json.loads(value)
    except ValueError:
        raise InvalidRequest(f"{name}: '{value[:80]}' is no list as JSON has it") from None


def _query_task(kind: TaskKind, query: Mapping[str, str]) -> TaskCall:
    try:
        return task_from(kind, {k: v for k, v in query.items() if k in kind.options.model_fields})
    except InvalidRequest as error:
        raise InvalidRequest(f"query parameter {error}") from None


def _switch(query: Mapping[str, str], name: str, default: str) -> bool:
    given = query.get(name, default).lower()
    if given not in SWITCH:
        raise InvalidRequest(f"query parameter {name}: '{given}' is neither true nor false")
    return SWITCH[given]


def _on_ood(query: Mapping[str, str]) -> OnOod:
    given = query.get("on_ood", "warn")
    for known in ON_OOD:
        if given == known:
            return known
    raise InvalidRequest(f"query parameter on_ood: '{given[:80]}' is neither warn nor error")


def _whole(query: Mapping[str, str], name: str) -> int:
    given = query[name]
    if not (given.isascii() and given.isdecimal() and len(given) <= LONGEST_NUMBER):
        raise InvalidRequest(f"query parameter {name}: '{given[:80]}' is no whole number above 0")
    return int(given)
