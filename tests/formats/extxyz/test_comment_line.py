import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidFormat
from app.formats.extxyz.comment_line import read_pairs, write_pairs

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ("", {}),
        ("a=1 b=two", {"a": "1", "b": "two"}),
        ('a="one two" b=3', {"a": "one two", "b": "3"}),
        ("a='one two' b={1 2 3} c=[4, 5]", {"a": "one two", "b": "1 2 3", "c": "4, 5"}),
        (r'a="say \"no\"" b="C:\\temp"', {"a": 'say "no"', "b": r"C:\temp"}),
        (r'a="two\nlines"', {"a": "two\nlines"}),
        (r"a=C:\temp", {"a": r"C:\temp"}),
        ("a = 1   b= 2", {"a": "1", "b": "2"}),
        ("flag a=1 other", {"flag": "T", "a": "1", "other": "T"}),
        ('"my key"=1', {"my key": "1"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=", {"a": ""}),
        ('a="" b=1', {"a": "", "b": "1"}),
        ('a="open b=1', {"a": '"open', "b": "1"}),
        ("it's 5' long a=1", {"it's": "T", "5'": "T", "long": "T", "a": "1"}),
        ("a=1\r", {"a": "1"}),
        (
            'Lattice="5.0 0 0 0 5.0 0 0 0 5.0" pbc="T T F"',
            {"Lattice": "5.0 0 0 0 5.0 0 0 0 5.0", "pbc": "T T F"},
        ),
    ],
)
def test_rules_of_the_comment_line(line, pairs):
    assert read_pairs(line) == pairs


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "T"),
        (np.False_, "F"),
        (3, "3"),
        (-0.1, "-0.1"),
        (np.float64(1e-7), "1e-07"),
        (np.float32(0.5), "0.5"),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), '"1.0 3.0 2.0 4.0"'),
        ((True, False), '"T F"'),
        ("two words", '"two words"'),
        ("", '""'),
    ],
)
def test_values_are_written_as_others_read_them(value, text):
    assert write_pairs([("key", value)]) == f"key={text}"


@given(st.dictionaries(words, words, max_size=5))
def test_any_text_comes_back(pairs):
    line = write_pairs(pairs.items())
    assert "\n" not in line
    assert read_pairs(line) == pairs


@given(words.filter(lambda word: "\n" not in word))
def test_any_line_is_read(line):
    try:
        pairs = read_pairs(line)
    except InvalidFormat:
        return
    assert all(isinstance(value, str) for value in pairs.values())
