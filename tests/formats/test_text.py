import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidFormat
from app.formats.encoding import as_windows, is_foreign
from app.formats.text import FOREIGN, LONGEST, check_length, decode, short, split_lines


def test_a_byte_order_mark_is_left_out():
    assert decode("\ufeffvåter".encode()) == "våter"


def test_utf_16_is_refused():
    with pytest.raises(InvalidFormat, match="UTF-16; save it as UTF-8"):
        decode("9\n".encode("utf-16"))


@given(st.binary(max_size=50))
def test_any_bytes_are_a_text_or_refused(data):
    try:
        text = decode(data)
    except InvalidFormat:
        return
    assert text.encode(errors=FOREIGN) == data.removeprefix("\ufeff".encode())


@given(st.text(st.sampled_from("aé€Å ÿ"), max_size=20))
def test_bytes_of_windows_are_its_characters(text):
    foreign = decode(text.encode("cp1252"))
    if is_foreign(foreign):
        assert as_windows(foreign) == text
    assert as_windows(text) == text


def test_lines_end_with_line_feeds_and_carriage_returns_alone():
    assert split_lines("a\nb\r\nc\rd\x85e\u2028f\x0cg\x1ch") == [
        "a",
        "b",
        "c",
        "d\x85e\u2028f\x0cg\x1ch",
    ]
    assert split_lines("") == [""]


def test_long_texts_are_shortened():
    assert short("  water ") == "water"
    assert len(short("x" * 1000)) < 70


def test_texts_that_are_too_long_for_patterns_are_refused():
    check_length("x" * LONGEST, "line 1")
    with pytest.raises(InvalidFormat, match="line 1: 65537 characters; at most 65536 are read"):
        check_length("x" * (LONGEST + 1), "line 1")
