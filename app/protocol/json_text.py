"""JSON text to values, such that nothing that it says is lost on the way."""

import re
from typing import Any

import orjson

from app.errors import InvalidFormat, InvalidRequest

BOM = b"\xef\xbb\xbf"
KEY = re.compile(rb'"\s*:')
DEPTH = 8
"""Objects within objects whose keys are counted; a text with more is looked through."""
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"(?P<key>\s*:)?|[{}]', re.DOTALL)


def parse(body: bytes) -> object:
    """The value of a JSON text; a byte order mark before it is skipped.

    Raises:
        InvalidFormat: it is no JSON.
        InvalidRequest: an object has a key twice, of which JSON's readers keep one.
    """
    body = body.removeprefix(BOM)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        hint = "; JSON has no NaN or Infinity" if b"NaN" in body or b"Infinity" in body else ""
        raise InvalidFormat(f"the body is not valid JSON: {error}{hint}") from None
    if len(KEY.findall(body)) != _keys(value) and (key := _repeated(body)):
        raise InvalidRequest(f"{key}: stands twice in one object; which of the two is meant?")
    return value


def _keys(value: Any, depth: int = DEPTH) -> int:
    """Keys of a request, as far as its fields are objects or lists of them."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sum(_keys(item, depth) for item in value)
    if not isinstance(value, dict) or not depth:
        return 0
    return len(value) + sum(_keys(field, depth - 1) for field in value.values())


def _repeated(body: bytes) -> str | None:
    """The first key that an object of a valid text has twice."""
    open_objects: list[set[bytes]] = []
    for token in TOKEN.finditer(body):
        text = token[0]
        if text == b"{":
            open_objects.append(set())
        elif text == b"}":
            open_objects.pop()
        elif token["key"] is not None:
            key = orjson.loads(text[: text.rindex(b'"') + 1]).encode()
            if key in open_objects[-1]:
                return str(key.decode())[:80]
            open_objects[-1].add(key)
    return None
