"""From bytes to lines of text, in one way for all formats."""

import re

from app.errors import InvalidFormat

UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LONGEST = 65_536
"""Characters of the longest text in which patterns are looked for."""
FOREIGN = "surrogateescape"
"""What becomes of bytes that are no UTF-8: see `app.formats.encoding`."""
SURROGATES = re.compile("[\udc80-\udcff]")
"""What such bytes are in a text."""
SHOWN = 60
"""Characters of a faulty text that a message repeats."""


def decode(data: bytes) -> str:
    """The text of UTF-8 bytes, without a byte order mark; a byte that is no UTF-8 is a surrogate.

    Raises:
        InvalidFormat: the text is UTF-16.
    """
    if data.startswith(UTF_16):
        raise InvalidFormat("the text is UTF-16; save it as UTF-8")
    return data.decode("utf-8-sig", errors=FOREIGN)


def split_lines(text: str) -> list[str]:
    r"""Lines, which end with \n, \r\n or \r, and with nothing else that Unicode calls a line's end."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")


def check_length(text: str, place: str) -> None:
    """Refuse a text in which patterns would be looked for too long.

    Raises:
        InvalidFormat: it has more than `LONGEST` characters; names the place.
    """
    if len(text) > LONGEST:
        raise InvalidFormat(f"{place}: {len(text)} characters; at most {LONGEST} are read")


def short(text: str) -> str:
    """As much of a faulty text as a message repeats."""
    text = text.strip()
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
