import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidFormat
from app.formats.text import LONGEST, check_length, decode, short, split_lines


def test_a_byte_order_mark_is_left_out():
    assert decode("\ufeffvåter".encode()) == "våter"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "9\r\nkonformère\r\n".encode("latin-1"),
            "line 2: byte 10 is 0xe8, which is not UTF-8 ('è'",
        ),
        (b"a\rb\r\xff", "line 3: byte 4 is 0xff"),
        ("9\n".encode("utf-16"), "UTF-16; save it as UTF-8"),
    ],
)
def test_other_encodings_are_named_with_byte_and_line(data, message):
    with pytest.raises(InvalidFormat) as caught:
        decode(data)
    assert message in str(caught.value)


@given(st.binary(max_size=50))
def test_any_bytes_are_a_text_or_refused(data):
    try:
        text = decode(data)
    except InvalidFormat:
        return
    assert text.encode() == data.removeprefix("\ufeff".encode())


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
