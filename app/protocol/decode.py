"""From a message to the request that it holds."""

from collections.abc import Mapping
from itertools import islice

import orjson
import ormsgpack
from pydantic import BaseModel, ValidationError

from app.atoms.properties import DEFAULT, NAMES, Name
from app.atoms.structure import Structure
from app.errors import InputError, InvalidFormat, InvalidRequest
from app.formats.extxyz import iter_frames
from app.protocol.request import Entry, Message, PredictRequest, RequestLimits
from app.protocol.schemas import PredictBody, StructureIn
from app.relax import RelaxOptions

RELAX_FIELDS = tuple(RelaxOptions.model_fields)
QUERY = ("model", "properties", "strict", "relax", *RELAX_FIELDS)
SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def decode(message: Message, limits: RequestLimits) -> PredictRequest:
    """The request that a message holds.

    Raises:
        InvalidFormat: the body is not what it is said to be.
        InvalidRequest: an unknown or ill-typed field outside the structures, or too many steps.
        StructureTooLarge: more structures or atoms than a request may have.
    """
    if message.kind == "xyz":
        request = _from_xyz(message.body, message.query, limits)
    elif message.query:
        names = ", ".join(message.query)
        raise InvalidRequest(
            f"query parameters ({names}) go with XYZ bodies; put them into the body"
        )
    else:
        read = _json if message.kind == "json" else _msgpack
        request = _from_document(read(message.body), limits)
    if request.relax is not None:
        limits.check_relax(request.relax)
    limits.check_atoms(request.n_atoms)
    return request


def _from_document(document: object, limits: RequestLimits) -> PredictRequest:
    body = parse_body(document)
    limits.check_structures(len(body.structures))
    entries = [Entry(structure_id(item), _attempt(item)) for item in body.structures]
    explicit = body.properties is not None
    properties = tuple(body.properties) if body.properties is not None else DEFAULT
    return PredictRequest(entries, body.model, properties, body.relax, explicit, body.strict)


def _from_xyz(body: bytes, query: Mapping[str, str], limits: RequestLimits) -> PredictRequest:
    properties = properties_from(query.get("properties"))
    relax = _query_relax(query)
    try:
        frames = list(islice(iter_frames(body.decode()), limits.structures + 1))
    except UnicodeDecodeError as error:
        value = f"byte {error.start} is {body[error.start]:#x}"
        raise InvalidFormat(f"the body is not UTF-8 text: {value}") from None
    if not frames:
        raise InvalidFormat("the body is empty; send at least one frame")
    limits.check_structures(len(frames))
    return PredictRequest(
        entries=[Entry.of(frame) for frame in frames],
        model=query.get("model"),
        properties=properties,
        relax=relax,
        explicit="properties" in query,
        strict=_switch(query, "strict", "false"),
    )


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        hint = "; JSON has no NaN or Infinity" if b"NaN" in body or b"Infinity" in body else ""
        raise InvalidFormat(f"the body is not valid JSON: {error}{hint}") from None


def _msgpack(body: bytes) -> object:
    try:
        return ormsgpack.unpackb(body)
    except ormsgpack.MsgpackDecodeError as error:
        raise InvalidFormat(f"the body is not valid MessagePack: {error}") from None


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
    try:
        return PredictBody.model_validate(document)
    except ValidationError as error:
        raise InvalidRequest(explain(error, PredictBody)) from None


def parse_structure(value: object) -> Structure:
    """The structure in one element of `structures`.

    Raises:
        InputError: naming the field or atom, the value, the limit and the remedy.
    """
    try:
        return StructureIn.model_validate(value).structure()
    except ValidationError as error:
        raise InvalidRequest(explain(error, StructureIn)) from None


def structure_id(value: object) -> str | None:
    """The `id` that a structure was sent with, whether or not the rest of it is sound."""
    given = value.get("id") if isinstance(value, dict) else None
    return given if isinstance(given, str) else None


def _attempt(item: object) -> Structure | InputError:
    try:
        return parse_structure(item)
    except InputError as error:
        return error


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
    try:
        return RelaxOptions.model_validate(options, strict=False)
    except ValidationError as error:
        raise InvalidRequest(explain(error, RelaxOptions)) from None


def _query_relax(query: Mapping[str, str]) -> RelaxOptions | None:
    for name in query:
        if name not in QUERY:
            known = ", ".join(QUERY)
            raise InvalidRequest(f"query parameter '{name}' is unknown; known are {known}")
    options = {name: query[name] for name in RELAX_FIELDS if name in query}
    if not _switch(query, "relax", str(bool(options))):
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


def explain(error: ValidationError, schema: type[BaseModel]) -> str:
    """The first fault that pydantic found, as `field: what is wrong`; unknown fields with the known
    ones.
    """
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    known = ", ".join(schema.model_fields)
    if first["type"] == "extra_forbidden":
        return f"{field}: unknown field; known are {known}"
    if first["type"] == "missing":
        return f"{field}: this field is required"
    if first["type"] in ("model_type", "model_attributes_type"):
        return f"{field or 'a structure'}: must be an object with the fields {known}"
    message = first["msg"].removeprefix("Value error, ")
    shown = repr(first["input"])
    suffix = f", not {shown}" if len(shown) <= 80 and first["type"] != "value_error" else ""
    return f"{field}: {message}{suffix}" if field else message + suffix
