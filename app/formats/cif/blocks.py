"""The data blocks of a CIF: values and tables by their names."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from app.errors import InvalidFormat
from app.formats.text import short

BARE = re.compile(r"\S+")
CLOSING = {quote: re.compile(rf"{quote}(?=\s|$)") for quote in ("'", '"')}
"""Ends of quoted values: a quote that something follows without a space belongs to the value."""
Kind: TypeAlias = Literal["data", "loop", "name", "value"]
TOO_LONG = 80
"""Characters; longer names are none that anything is looked up by."""
READ = ("_cell_", "_atom_", "_space_group_", "_symmetry_", "_equipot_")
"""How names begin that a structure may be made of, and that may not contradict themselves."""


class Token(NamedTuple):
    """A word of a CIF, or a text of several lines.

    Attributes:
        kind: head of a block, head of a table, name, or value.
        text: without quotes; of a head the name of its block; of a name in lower case, with `_` in
            place of the point that newer dictionaries have.
        line: its number in the file.
    """

    kind: Kind
    text: str
    line: int


@dataclass
class Block:
    """A data block.

    Attributes:
        name: behind `data_`.
        values: by name, with one value each, or one for each row of their table.
        fault: why the rest of the block cannot be read.
    """

    name: str
    values: dict[str, list[str]] = field(default_factory=dict)
    fault: InvalidFormat | None = None

    def first(self, *names: str) -> str | None:
        """The first value under any of the names, if it is known."""
        for name in names:
            for value in self.values.get(name, ())[:1]:
                if value not in ("?", "."):
                    return value
        return None


def read_blocks(lines: Sequence[str], before: int = 0) -> list[Block]:
    """All blocks of a file; one that is malformed has its fault, and the others none.

    Args:
        lines: of a file, or of a part of it that begins with a block.
        before: lines before the first one, for messages.
    """
    blocks: list[Block] = []
    tokens: list[Token] = []
    parts: list[tuple[Token, list[Token]]] = []
    fault = None
    try:
        for token in _tokens(lines, before):
            if token.kind == "data":
                tokens = []
                parts.append((token, tokens))
            else:
                tokens.append(token)
    except InvalidFormat as error:
        fault = error
    for head, own in parts:
        block = Block(head.text)
        try:
            _fill(block, own)
        except InvalidFormat as error:
            block.fault = error
        blocks.append(block)
    if blocks and fault:
        blocks[-1].fault = fault
    return blocks


def _tokens(lines: Sequence[str], before: int) -> Iterator[Token]:
    """Raises InvalidFormat for a text that does not end."""
    number = 0
    while number < len(lines):
        line, number = lines[number], number + 1
        if line.startswith(";"):
            first, parts = before + number, [line[1:]]
            while number < len(lines) and not lines[number].startswith(";"):
                parts.append(lines[number])
                number += 1
            if number == len(lines):
                raise InvalidFormat(f"line {first}: a text that starts here with ; does not end")
            yield Token("value", "\n".join(parts).strip(), first)
            line, number = lines[number][1:], number + 1
        yield from _words(line, before + number)


def _words(line: str, number: int) -> Iterator[Token]:
    at, unclosed = 0, ""
    while word := BARE.search(line, at):
        start, at = word.span()
        first = line[start]
        if first == "#":
            return
        if first in CLOSING and first not in unclosed:
            if closing := CLOSING[first].search(line, start + 1):
                at = closing.end()
                yield Token("value", line[start + 1 : closing.start()], number)
                continue
            unclosed += first
        yield _bare(word[0], number)


def _bare(word: str, number: int) -> Token:
    lower = word[:TOO_LONG].lower()
    if lower.startswith("data_"):
        return Token("data", word[5:], number)
    if lower == "loop_":
        return Token("loop", word, number)
    if lower.startswith("_"):
        return Token("name", lower.replace(".", "_"), number)
    return Token("value", word, number)


def _fill(block: Block, tokens: Sequence[Token]) -> None:
    place = 0
    while place < len(tokens):
        token, place = tokens[place], place + 1
        if token.kind == "loop":
            place = _table(block, tokens, place)
        elif token.kind == "name" and place < len(tokens) and tokens[place].kind == "value":
            _set(block, token, [tokens[place].text])
            place += 1
        else:
            raise InvalidFormat(
                f"line {token.line}: '{short(token.text)}' stands where a name with a value is expected"
            )


def _table(block: Block, tokens: Sequence[Token], place: int) -> int:
    """Read the names and rows of a table; returns where it ends."""
    start = place
    while place < len(tokens) and tokens[place].kind == "name":
        place += 1
    names, body = tokens[start:place], place
    while place < len(tokens) and tokens[place].kind == "value":
        place += 1
    values = [token.text for token in tokens[body:place]]
    line = tokens[start - 1].line
    if not names or len(values) % len(names):
        raise InvalidFormat(
            f"line {line}: a table of {len(names)} columns with {len(values)} values; one is missing "
            "or too many"
        )
    for column, name in enumerate(names):
        _set(block, name, values[column :: len(names)])
    return place


def _set(block: Block, name: Token, values: list[str]) -> None:
    """Raises InvalidFormat where the block has other values under a name that is read."""
    known = block.values.setdefault(name.text, values)
    if known != values and name.text.startswith(READ):
        raise InvalidFormat(
            f"line {name.line}: {name.text} stands twice, with different values; leave one out"
        )
