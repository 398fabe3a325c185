from dataclasses import replace

import pytest

from app.errors import InvalidFormat
from app.formats.extxyz.columns import MOST, PLAIN_COLUMNS, read_columns


def test_plain_columns_are_those_that_may_be_stated():
    assert replace(read_columns("species:S:1:pos:R:3"), exact=False) == PLAIN_COLUMNS


def test_columns_in_any_order():
    columns = read_columns("pos:R:3:Z:I:1:tags:I:2:move_mask:L:3:initial_charges:R:1")
    assert (columns.pos, columns.Z, columns.moves) == (range(3), range(3, 4), range(6, 9))
    assert (columns.charges, columns.width, columns.exact) == (range(9, 10), 10, True)


@pytest.mark.parametrize("width", ["400000000", "999999999999999", str(MOST)])
def test_widths_are_refused_before_anything_is_made_of_them(width):
    with pytest.raises(InvalidFormat, match=f"more than {MOST} columns with 'foo:R:{width}'"):
        read_columns(f"species:S:1:pos:R:3:foo:R:{width}")


def test_many_columns_are_refused():
    with pytest.raises(InvalidFormat):
        read_columns("species:S:1:pos:R:3" + ":x:R:1" * 100_000)
