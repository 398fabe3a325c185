"""Reading a large JSON text by its outer structure alone.

Brackets and commas are followed, and whole objects, lists of numbers and texts at a time where they
are small; what stands in them is not looked at. Nothing looks at more than a window of the text at
once, so that the interpreter is held for a moment only, and each byte is looked at a bounded number
of times, whatever the text.
"""

import re
from collections.abc import Iterator
from mmap import mmap

import orjson

from app.errors import InvalidFormat, StructureTooLarge
from app.jobs.parts import Item

WINDOW = 65_536
BOM = b"\xef\xbb\xbf"
TEXT = rb'"(?:[^"\\]++|\\.)*+"'
PLAIN = rb'[^"\[\]{}]++'
ROW = rb"\[[^\"\[\]{}]*+\]"
FLAT = rb"\[(?:" + PLAIN + b"|" + TEXT + rb")*+\]"
ROWS = rb"\[(?:" + PLAIN + b"|" + ROW + rb")*+\]"
OBJECT = rb"\{(?:" + PLAIN + b"|" + TEXT + b"|" + FLAT + b"|" + ROWS + rb")*+\}"
TOKEN = re.compile(b"|".join((TEXT, OBJECT, FLAT, ROWS, rb'["{}\[\],]')), re.DOTALL)
"""A whole text, object or list; where it is larger than the window, what it begins with."""
REST = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
MARK = re.compile(rb"[^ \t\r\n]")


class JsonReader:
    """Goes through a text from its beginning to its end.

    Args:
        data: the text.
        longest: bytes of the longest value that is passed.
    """

    def __init__(self, data: mmap, longest: int) -> None:
        self._data, self._longest = data, longest
        self._at = len(BOM) if data[: len(BOM)] == BOM else 0

    def enters(self, bracket: bytes) -> bool:
        """Whether the next mark is this bracket; then it is passed."""
        if self._peek() != bracket:
            return False
        self._at += 1
        return True

    def members(self) -> Iterator[tuple[str, int]]:
        """Key and first byte of each member of the object that was entered; what its value is, has
        to be read before the next one.

        Raises:
            InvalidFormat: it is no object.
        """
        if self._peek() == b"}":
            self._at += 1
            return
        while True:
            self._peek()
            start = self._at
            yield self._key(), start
            mark = self._peek()
            self._at += 1
            if mark == b"}":
                return
            if mark != b",":
                raise self._wrong()

    def value(self) -> int:
        """Pass a value; the byte after it.

        Raises:
            InvalidFormat: there is none, or it does not end.
        """
        if self._peek() in (b"", b",", b"}", b"]"):
            raise self._wrong()
        mark, _ = self._next_at_this_depth()
        if mark not in (b",", b"}"):
            raise self._wrong()
        return self._at

    def elements(self) -> Iterator[Item]:
        """The elements of the list that was entered.

        Raises:
            InvalidFormat: it does not end, or has no element where one is expected.
        """
        if self.enters(b"]"):
            return
        while True:
            self._peek()
            start = self._at
            mark, stop = self._next_at_this_depth()
            if stop == start or mark == b"}":
                raise self._wrong()
            self._at += 1
            yield Item(start, stop)
            if mark == b"]":
                return

    def check_end(self) -> None:
        """Whether nothing but space is left.

        Raises:
            InvalidFormat: there is.
        """
        if self._peek():
            raise self._wrong()

    def _key(self) -> str:
        if self._peek() != b'"':
            raise self._wrong()
        start = self._at
        self._at += 1
        self._pass_text()
        try:
            key = orjson.loads(self._data[start : self._at])
        except orjson.JSONDecodeError:
            raise self._wrong() from None
        if self._peek() != b":":
            raise self._wrong()
        self._at += 1
        return str(key)

    def _peek(self) -> bytes:
        """The next mark that is no space, before which we then are; empty at the end."""
        while self._at < len(self._data):
            match = MARK.search(self._data, self._at, self._at + WINDOW)
            if match:
                self._at = match.start()
                return match[0]
            self._at = min(len(self._data), self._at + WINDOW)
        return b""

    def _next_at_this_depth(self) -> tuple[bytes, int]:
        """Go before the comma or bracket that ends what is here; that mark, and where it is."""
        depth, start = 0, self._at
        while True:
            if self._at - start > self._longest:
                raise StructureTooLarge(
                    f"the value at byte {start} takes more than {self._longest} bytes, the most "
                    "allowed of a structure (max_body_bytes)"
                )
            match = TOKEN.search(self._data, self._at, self._at + WINDOW)
            if match is None:
                self._at += WINDOW
                if self._at >= len(self._data):
                    raise InvalidFormat("the body is not valid JSON: it ends too early")
                continue
            token, self._at = match[0], match.end()
            if token == b'"':
                self._pass_text()
            elif token in (b"{", b"["):
                depth += 1
            elif depth == 0 and token in (b",", b"}", b"]"):
                self._at = match.start()
                return token, self._at
            elif token in (b"}", b"]"):
                depth -= 1

    def _pass_text(self) -> None:
        """Go behind the end of the text in which we are."""
        while self._at < len(self._data):
            match = REST.match(self._data, self._at, self._at + WINDOW)
            passed = match.end() if match else self._at
            if self._data[passed : passed + 1] == b'"':
                self._at = passed + 1
                return
            self._at = passed if passed > self._at else passed + 2
        raise InvalidFormat("the body is not valid JSON: a text does not end")

    def _wrong(self) -> InvalidFormat:
        shown = self._data[self._at : self._at + 20].decode("utf-8", errors="replace")
        return InvalidFormat(f"the body is not valid JSON: '{shown}' at byte {self._at}")
