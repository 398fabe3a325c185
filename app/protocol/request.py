"""What a request asks, whether it came as JSON or as XYZ."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson
import ormsgpack
from pydantic import ValidationError

from app.atoms.structure import Structure
from app.errors import InputError, InvalidFormat, InvalidRequest, StructureTooLarge
from app.formats.extxyz import iter_frames
from app.protocol.schemas import (
    DEFAULT_PROPERTIES,
    DERIVATIVES,
    PROPERTIES,
    Property,
    RelaxIn,
    explain,
    parse_request,
    parse_structure,
    structure_id,
)
from app.relax import RelaxOptions
from app.settings import Settings

RELAX_QUERY = tuple(RelaxIn.model_fields)
QUERY = ("model", "properties", "relax", *RELAX_QUERY)
SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class Entry:
    """One structure as it was sent, or why it is none."""

    id: str | None
    structure: Structure | InputError
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """All that one request wants to know.

    Attributes:
        entries: its structures, in order.
        model: `name`, `name@version`, or None for the default.
        properties: what to answer.
        relax: how to relax, or None.
        explicit: whether the properties were asked for by name.
    """

    entries: list[Entry]
    model: str | None = None
    properties: tuple[Property, ...] = DEFAULT_PROPERTIES
    relax: RelaxOptions | None = None
    explicit: bool = False

    @property
    def derivatives(self) -> bool:
        """Whether any of the properties is a derivative of the energy."""
        return not DERIVATIVES.isdisjoint(self.properties)


def from_document(body: bytes, kind: str, settings: Settings) -> Ask:
    """Read a body of JSON or MessagePack, which have the same fields.

    Raises:
        InvalidFormat: not what it is said to be.
        InvalidRequest: an unknown or ill-typed field outside the structures.
        StructureTooLarge: more structures or atoms than a request may have.
    """
    request = parse_request(_json(body) if kind == "json" else _msgpack(body))
    _check_count(len(request.structures), settings)
    entries = [Entry(structure_id(item), _attempt(item)) for item in request.structures]
    _check_atoms(entries, settings)
    properties = DEFAULT_PROPERTIES if request.properties is None else tuple(request.properties)
    return Ask(
        entries,
        request.model,
        properties,
        relax_options(request.relax, settings),
        request.properties is not None,
    )


def from_xyz(body: bytes, query: Mapping[str, str], settings: Settings) -> Ask:
    """Read a body of (ext)XYZ frames and the query parameters that go with it.

    Raises:
        InvalidFormat: no XYZ at all.
        InvalidRequest: an unknown or ill-typed query parameter.
        StructureTooLarge: more structures or atoms than a request may have.
    """
    properties = query_properties(query.get("properties"))
    relax = relax_options(_query_relax(query), settings)
    try:
        frames = list(islice(iter_frames(body.decode()), settings.max_structures + 1))
    except UnicodeDecodeError as error:
        raise InvalidFormat(
            f"the body is not UTF-8 text: byte {error.start} is {body[error.start]:#x}"
        ) from None
    if not frames:
        raise InvalidFormat("the body is empty; send at least one frame")
    _check_count(len(frames), settings)
    entries = [Entry(frame.id, frame.structure, frame.info) for frame in frames]
    _check_atoms(entries, settings)
    return Ask(entries, query.get("model"), properties, relax, "properties" in query)


def query_properties(text: str | None) -> tuple[Property, ...]:
    """Properties from a list separated by commas.

    Raises:
        InvalidRequest: naming the unknown one, and the known ones.
    """
    if text is None:
        return DEFAULT_PROPERTIES
    names = [name.strip() for name in text.split(",")]
    known = {str(name): name for name in PROPERTIES}
    for name in names:
        if name not in known:
            raise InvalidRequest(
                f"properties: '{name}' is unknown; known are {', '.join(PROPERTIES)}"
            )
    return tuple(known[name] for name in names)


def relax_options(given: RelaxIn | None, settings: Settings) -> RelaxOptions | None:
    """The options of a relaxation within the service's limits.

    Raises:
        InvalidRequest: more steps than allowed.
    """
    if given is None:
        return None
    if given.steps > settings.max_relax_steps:
        raise InvalidRequest(
            f"relax.steps: {given.steps}; at most {settings.max_relax_steps} are allowed"
        )
    return RelaxOptions(
        fmax=given.fmax,
        steps=given.steps,
        optimizer=given.optimizer,
        cell=given.cell,
        fixed_axes=tuple(given.fixed_axes),
        pressure=given.pressure,
        max_force=settings.max_relax_force,
        max_displacement=settings.max_relax_displacement,
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


def _attempt(item: object) -> Structure | InputError:
    try:
        return parse_structure(item)
    except InputError as error:
        return error


def _query_relax(query: Mapping[str, str]) -> RelaxIn | None:
    for name in query:
        if name not in QUERY:
            raise InvalidRequest(
                f"query parameter '{name}' is unknown; known are {', '.join(QUERY)}"
            )
    options: dict[str, Any] = {name: query[name] for name in RELAX_QUERY if name in query}
    if "fixed_axes" in options:
        options["fixed_axes"] = options["fixed_axes"].split(",")
    switch = query.get("relax", str(bool(options))).lower()
    if switch not in SWITCH:
        raise InvalidRequest(f"query parameter relax: '{switch}' is neither true nor false")
    if not SWITCH[switch]:
        return None
    try:
        return RelaxIn.model_validate(options, strict=False)
    except ValidationError as error:
        raise InvalidRequest(f"query parameter {explain(error, RelaxIn)}") from None


def _check_count(structures: int, settings: Settings) -> None:
    if structures > settings.max_structures:
        raise StructureTooLarge(
            f"the request has more than {settings.max_structures} structures, the most allowed (max_structures)"
        )


def _check_atoms(entries: list[Entry], settings: Settings) -> None:
    atoms = count_atoms(entries)
    if atoms > settings.max_request_atoms:
        raise StructureTooLarge(
            f"the request has {atoms} atoms; at most {settings.max_request_atoms} are allowed (max_request_atoms)"
        )


def count_atoms(entries: list[Entry]) -> int:
    """Atoms of all entries that are structures."""
    return sum(len(entry.structure) for entry in entries if isinstance(entry.structure, Structure))
