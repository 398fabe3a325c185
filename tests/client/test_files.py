"""Files as the client sends them, whatever their encoding."""

from pathlib import Path

import pytest

from equipot.errors import InvalidFormat
from equipot.files import records

FRAME = "1\nid={}\nAr 0 0 0\n"


def test_lines_that_are_not_utf_8_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    names = ("a", "café – 20 €", "naïve")
    path.write_bytes(b"".join(FRAME.format(name).encode("cp1252") for name in names))
    with pytest.warns(UnicodeWarning, match=r"a\.xyz, line 5: byte 0xe9 is not UTF-8") as told:
        items = list(records(path))
    assert [item["content"] for item in items] == [FRAME.format(name) for name in names]
    assert len(told) == 1


def test_utf_16_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_bytes(FRAME.format("a").encode("utf-16"))
    with pytest.raises(InvalidFormat, match="the text is UTF-16"):
        list(records(path))
