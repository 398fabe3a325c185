"""Values as wire types: the first fault is told, with its field, its value and what it may be."""

from collections.abc import Iterator
from inspect import isclass
from reprlib import Repr
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from app.errors import InvalidRequest

UNIONS = ("bool", "list[bool]", "function-before", "function-wrap", "str", "bytes")
"""What pydantic adds to the place of a fault where a field may be one of several things."""
SHOWN = 80
"""Characters of a value that a message repeats."""
SHORT = Repr()
SHORT.maxlevel, SHORT.maxstring, SHORT.maxother = 3, SHOWN, SHOWN
M = TypeVar("M", bound=BaseModel)


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
        nested = _types(field.annotation) if field else ()
        schema = next((t for t in nested if isclass(t) and issubclass(t, BaseModel)), schema)
    return list(schema.model_fields)


def _types(annotation: object) -> Iterator[Any]:
    """The types that an annotation is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _types(part)


def _shown(value: object) -> str:
    """A value in a message, cut in depth and length, whatever it is."""
    return value[:SHOWN] if isinstance(value, str) and len(value) > SHOWN else SHORT.repr(value)
