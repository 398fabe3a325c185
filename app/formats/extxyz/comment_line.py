"""The comment line of extXYZ: `key=value` pairs with quotes, and free text between them.

The rules are those of the format's description at github.com/libAtoms/extxyz; values stay text
here.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from app.errors import InvalidFormat
from app.formats.text import short

PAIR = re.compile(
    r"""
    (?P<key> "(?:[^"\\]|\\.)*+" | [^\s=]++ )
    (?: \s*+ = \s*+
        (?P<value>
            "(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+' | \{[^{}]*+\} | \[[^\[\]]*+\] | \S++ | $
        )
    )?+
    """,
    re.VERBOSE,
)
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
PLAIN = re.compile(r"[A-Za-z0-9_.+:/@%-]+")
CLOSING = {'"': '"', "'": "'", "{": "}", "[": "]"}
ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"})


def read_pairs(line: str) -> dict[str, str]:
    """Values by key, as text without quotes or brackets; words that belong to no `=` have the value
    "T".

    Raises:
        InvalidFormat: a key stands twice, with different values.
    """
    pairs, words, _ = read_words(line)
    return {**pairs, **dict.fromkeys(words, "T")}


class Words(NamedTuple):
    """What a comment line says.

    Attributes:
        pairs: values by key, as text without quotes or brackets.
        free: words that belong to no `=`.
        bare: keys whose values stand without quotes or brackets.
    """

    pairs: Mapping[str, str]
    free: Sequence[str]
    bare: Collection[str]


def read_words(line: str) -> Words:
    """Values by key, and apart from them the words that belong to no `=`.

    Raises:
        InvalidFormat: a key stands twice, with different values.
    """
    pairs: dict[str, str] = {}
    words: list[str] = []
    bare: set[str] = set()
    for match in PAIR.finditer(line):
        key, value = match.groups()
        if value is None:
            words.append(_unquoted(key))
            continue
        name, is_bare = _unquoted(key), value[:1] not in CLOSING
        text = value if is_bare else _unquoted(value)
        if is_bare:
            bare.add(name)
        if pairs.setdefault(name, text) != text:
            raise InvalidFormat(f"{short(name)} stands twice, with different values; leave one out")
    return Words(pairs, words, bare)


def first_value(line: str, key: str) -> str | None:
    """The value of the first pair with a key, or None where there is none."""
    values = (m["value"] for m in PAIR.finditer(line) if m["value"] and _unquoted(m["key"]) == key)
    return next(map(_unquoted, values), None)


def without(line: str, key: str) -> str:
    """The line without the pairs of a key, but for those to whose value others may cling."""

    def rest(match: re.Match[str]) -> str:
        value = match["value"] or ""
        is_clear = value[:1] in CLOSING or PLAIN.fullmatch(value)
        return "" if is_clear and _unquoted(match["key"]) == key else match[0]

    return PAIR.sub(rest, line)


def write_pairs(pairs: Iterable[tuple[str, object]]) -> str:
    """The pairs as they stand in a comment line: numbers that read back the same, T or F, arrays in
    column order.
    """
    return " ".join(f"{_quoted(key)}={_quoted(_text(value))}" for key, value in pairs)


def _unquoted(text: str) -> str:
    if len(text) < 2 or CLOSING.get(text[0]) != text[-1]:
        return text
    inner = text[1:-1]
    return (
        ESCAPE.sub(lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), inner)
        if "\\" in inner
        else inner
    )


def _quoted(text: str) -> str:
    return text if PLAIN.fullmatch(text) else f'"{text.translate(ESCAPED)}"'


def _text(value: object) -> str:
    if isinstance(value, np.ndarray):
        return " ".join(_text(item) for item in value.ravel(order="F").tolist())
    if isinstance(value, (list, tuple)):
        return " ".join(_text(item) for item in value)
    if isinstance(value, (bool, np.bool_)):
        return "T" if value else "F"
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)
