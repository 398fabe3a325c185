"""Rows of different lengths, one after the other, against lists of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.atoms.ragged import parts, ranges, rows_of, starts_of

ROWS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=20)


def columns(rows: list[tuple[int, int]]) -> list[np.ndarray]:
    return [np.array([row[i] for row in rows], dtype=np.int64) for i in range(2)]


@given(ROWS)
def test_each_row_starts_where_the_one_before_ends(rows):
    _, lengths = columns(rows)
    assert starts_of(lengths).tolist() == [sum(lengths[:n]) for n in range(len(rows) + 1)]
    assert starts_of(lengths.tolist()).tolist() == starts_of(lengths).tolist()


@given(ROWS)
def test_each_element_knows_its_row(rows):
    expected = [n for n, (_, length) in enumerate(rows) for _ in range(length)]
    assert rows_of(columns(rows)[1]).tolist() == expected


@given(ROWS)
def test_parts_are_the_rows(rows):
    _, lengths = columns(rows)
    values = np.arange(2 * sum(lengths)).reshape(-1, 2)
    firsts = starts_of(lengths)[:-1]
    found = parts(values, firsts)
    assert [len(own) for own in found] == lengths.tolist()
    assert all(own.base is not None for own in found)
    assert [row for own in found for row in own.tolist()] == values.tolist()


@given(ROWS)
def test_ranges_follow_each_other(rows):
    expected = [n for start, length in rows for n in range(start, start + length)]
    assert ranges(*columns(rows)).tolist() == expected
