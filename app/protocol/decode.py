"""From a message to the request that it holds."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import isclass
from itertools import islice
from reprlib import Repr
from typing import TypeVar, get_args

import ormsgpack
from pydantic import BaseModel, ValidationError

from app.atoms.properties import DEFAULT, NAMES, Name
from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.backends.domain import OnOod
from app.errors import EquipotError, InvalidFormat, InvalidRequest
from app.formats import text
from app.formats.extxyz import iter_frames
from app.protocol import counts, json_text
from app.protocol.request import Entry, Message, PredictRequest, RequestLimits
from app.protocol.schemas import LONGEST_ID, PredictBody, StructureIn
from app.relax import RelaxOptions

RELAX_FIELDS = tuple(RelaxOptions.model_fields)
SWITCHES = ("strict", "allow_odd_electrons")
QUERY = ("model", "properties", *SWITCHES, "on_ood", "relax", *RELAX_FIELDS)
ON_OOD: tuple[OnOod, ...] = get_args(OnOod)
UNIONS = ("bool", "list[bool]", "function-before", "function-wrap")
"""What pydantic adds to the place of a fault where a field may be one of several things."""
SHOWN = 80
"""Characters of a value that a message repeats."""
SHORT = Repr()
SHORT.maxlevel, SHORT.maxstring, SHORT.maxother = 3, SHOWN, SHOWN
M = TypeVar("M", bound=BaseModel)

log = logging.getLogger(__name__)

SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def decode(message: Message, limits: RequestLimits) -> PredictRequest:
    """The request that a message holds.

    Raises:
        InvalidFormat: the body is not what it is said to be.
        InvalidRequest: an unknown or ill-typed field outside the structures, or too many steps.
        StructureTooLarge: more structures or atoms than a request may have.
    """
    if message.kind == "xyz":
        counts.check_xyz(message.body, limits.structures, limits.atoms)
        request = _from_xyz(message.body, _once(message.query), limits)
    elif message.query:
        names = ", ".join(name for name, _ in message.query)
        raise InvalidRequest(
            f"query parameters ({names}) go with XYZ bodies; put them into the body"
        )
    else:
        read = _json if message.kind == "json" else _msgpack
        request = _from_document(read(message.body, limits), limits)
    if request.relax is not None:
        request = replace(request, relax=limits.bounded(request.relax))
    limits.check_atoms(request.n_atoms)
    return request


def _once(query: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Query parameters by name.

    Raises:
        InvalidRequest: one is given twice.
    """
    values: dict[str, str] = {}
    for name, value in query:
        if name in values:
            raise InvalidRequest(f"query parameter {name[:80]}: is given twice; give it once")
        values[name] = value
    return values


def _from_document(document: object, limits: RequestLimits) -> PredictRequest:
    body = parse_body(document)
    limits.check_structures(len(body.structures))
    entries = [_entry(item, limits) for item in body.structures]
    explicit = body.properties is not None
    properties = tuple(body.properties) if body.properties is not None else DEFAULT
    return PredictRequest(
        entries=entries,
        model=body.model,
        properties=properties,
        relax=body.relax,
        explicit=explicit,
        strict=body.strict,
        on_ood=body.on_ood,
        allow_odd_electrons=body.allow_odd_electrons,
    )


def _from_xyz(body: bytes, query: Mapping[str, str], limits: RequestLimits) -> PredictRequest:
    properties = properties_from(query.get("properties"))
    relax = _query_relax(query)
    frames = list(islice(iter_frames(text.decode(body)), limits.structures + 1))
    if not frames:
        raise InvalidFormat("the body is empty; send at least one frame")
    if isinstance(frames[0].structure, InvalidFormat) and len(frames) == 1:
        raise frames[0].structure
    limits.check_structures(len(frames))
    return PredictRequest(
        entries=[Entry.of(frame) for frame in frames],
        model=query.get("model"),
        properties=properties,
        relax=relax,
        explicit="properties" in query,
        on_ood=_on_ood(query),
        **{name: _switch(query, name, "false") for name in SWITCHES},
    )


def _json(body: bytes, limits: RequestLimits) -> object:
    counts.check_json(body, limits.structures, limits.atoms)
    return json_text.parse(body)


def _msgpack(body: bytes, limits: RequestLimits) -> object:
    entries = counts.check_msgpack(body, limits.structures, limits.atoms)
    try:
        value = ormsgpack.unpackb(body)
    except ormsgpack.MsgpackDecodeError as error:
        raise InvalidFormat(f"the body is not valid MessagePack: {error}") from None
    if entries > _entries(value):
        raise InvalidRequest("a key stands twice in one map; which of the two is meant?")
    return value


def _entries(value: object) -> int:
    """Entries of all maps in a value."""
    if isinstance(value, dict):
        return len(value) + sum(map(_entries, value.values()))
    if not isinstance(value, list):
        return 0
    return sum(_entries(item) for item in value if isinstance(item, dict | list))


def parse_body(document: object) -> PredictBody:
    """The wire type of a decoded body.

    Raises:
        InvalidRequest: naming the field and what it may be.
    """
    if not isinstance(document, dict):
        raise InvalidRequest(
            "the body must be a JSON object with 'structures', or with the fields of one structure"
        )
    if "structures" not in document:
        fields = PredictBody.model_fields
        single = {key: value for key, value in document.items() if key not in fields}
        document = {key: value for key, value in document.items() if key in fields}
        document["structures"] = [single]
    return validate(PredictBody, document)


def parse_structure(value: object) -> tuple[Structure, tuple[AnswerWarning, ...]]:
    """The structure in one element of `structures`, and what of it is read with a doubt.

    Raises:
        InputError: naming the field or atom, the value, the limit and the remedy.
    """
    return validate(StructureIn, value).structure()


def structure_id(value: object) -> str | None:
    """The `id` that a structure was sent with, whether or not the rest of it is sound."""
    given = value.get("id") if isinstance(value, dict) else None
    return given[:LONGEST_ID] if isinstance(given, str) else None


def _entry(item: object, limits: RequestLimits) -> Entry:
    """The entry of an item, or why it is none; no item costs the others anything."""
    name = structure_id(item)
    try:
        limits.check_atoms(_announced(item))
        structure, warnings = parse_structure(item)
    except EquipotError as error:
        return Entry(name, error)
    except Exception as error:
        log.exception("a structure could not be read")
        unexpected = f"an unexpected {type(error).__name__}; the service's log has more"
        return Entry(name, EquipotError(unexpected))
    return Entry(name, structure, warnings=warnings)


def _announced(item: object) -> int:
    """Atoms that an item has at least, if it is sound; known before anything is made of them."""
    fields = item if isinstance(item, dict) else {}
    lists = (fields.get(name) for name in ("symbols", "numbers", "positions"))
    return max((len(values) for values in lists if isinstance(values, list)), default=0)


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
    for name in query:
        if name not in QUERY:
            known = ", ".join(QUERY)
            raise InvalidRequest(f"query parameter '{name}' is unknown; known are {known}")
    options = {name: query[name] for name in RELAX_FIELDS if name in query}
    if not _switch(query, "relax", str(bool(options))):
        if options:
            raise InvalidRequest(f"relax is false, and {', '.join(options)} is for relaxing")
        return None
    try:
        return relax_from(options)
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
    raise InvalidRequest(f"query parameter on_ood: '{given[:SHOWN]}' is neither warn nor error")


def validate(schema: type[M], value: object, strict: bool | None = None) -> M:
    """A value as a wire type.

    The first fault is told and no other looked for, so that a bad value costs no more than a good
    one; unknown fields come first, since they explain most of the others.

    Raises:
        InvalidRequest: `field: what is wrong`, with the value where it is short.
    """
    known = schema.model_fields
    if isinstance(value, dict) and (unknown := next((k for k in value if k not in known), None)):
        raise InvalidRequest(f"{str(unknown)[:SHOWN]}: unknown field; known are {', '.join(known)}")
    try:
        return schema.model_validate(value, strict=strict)
    except ValidationError as error:
        raise InvalidRequest(_explained(error, schema)) from None


def _explained(error: ValidationError, schema: type[BaseModel]) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"] if part not in UNIONS)
    if first["type"] == "missing":
        return f"{field}: this field is required"
    if first["type"] == "extra_forbidden":
        return f"{field}: unknown field; known are {', '.join(_fields_at(schema, first['loc']))}"
    if first["type"] in ("model_type", "model_attributes_type"):
        known = ", ".join(_fields_at(schema, (*first["loc"], "")))
        return f"{field or 'a structure'}: must be an object with the fields {known}"
    message = first["msg"].removeprefix("Value error, ")
    shown = _shown(first["input"])
    suffix = f", not {shown}" if len(shown) <= SHOWN and first["type"] != "value_error" else ""
    return f"{field}: {message}{suffix}" if field else message + suffix


def _fields_at(schema: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The fields of the object that holds a place, as far as objects are nested in fields."""
    for part in loc[:-1]:
        field = schema.model_fields.get(str(part))
        nested = (field.annotation, *get_args(field.annotation)) if field else ()
        schema = next((t for t in nested if isclass(t) and issubclass(t, BaseModel)), schema)
    return list(schema.model_fields)


def _shown(value: object) -> str:
    """A value in a message, cut in depth and length, whatever it is."""
    return value[:SHOWN] if isinstance(value, str) and len(value) > SHOWN else SHORT.repr(value)
