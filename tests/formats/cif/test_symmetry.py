import numpy as np
import pytest

from app.errors import InvalidFormat
from app.formats.cif.blocks import Block
from app.formats.cif.symmetry import OPERATIONS, images, read_symmetry


def listed(*operations: str) -> Block:
    return Block("x", {OPERATIONS[0]: list(operations)})


def test_operations_are_read():
    symmetry = read_symmetry(listed("x, y, z", "-y,x-y,z+1/3", "1/2+x,.25-z,-.5+2*y", "-X,Y,Z"))
    np.testing.assert_array_equal(symmetry.rotations[1], [[0, -1, 0], [1, -1, 0], [0, 0, 1]])
    np.testing.assert_allclose(symmetry.translations[1], [0, 0, 1 / 3])
    np.testing.assert_array_equal(symmetry.rotations[2], [[1, 0, 0], [0, 0, -1], [0, 2, 0]])
    np.testing.assert_allclose(symmetry.translations[2], [0.5, 0.25, -0.5])
    np.testing.assert_array_equal(symmetry.rotations[3], np.diag([-1, 1, 1]))


@pytest.mark.parametrize("text", ["", "x,y", "x,y,w", "x,,z", "x y,z,1/0", "x+,y,z", "x" * 500])
def test_what_is_no_operation_is_named(text):
    with pytest.raises(InvalidFormat, match="is no symmetry operation such as"):
        read_symmetry(listed(text))


def test_more_operations_than_any_group_has_are_refused():
    with pytest.raises(InvalidFormat, match="193 symmetry operations; no group has over 192"):
        read_symmetry(listed(*["x,y,z"] * 193))


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({}, 1),
        ({"_symmetry_int_tables_number": ["225"]}, 192),
        ({"_space_group_name_h-m_alt": ["P 21/c"]}, 4),
        ({"_symmetry_space_group_name_h-m": ["F m -3 m"]}, 192),
        ({"_space_group_it_number": ["1"], "_space_group_name_h-m_alt": ["P 1"]}, 1),
    ],
)
def test_groups_by_name_or_number(values, count):
    assert len(read_symmetry(Block("x", values)).rotations) == count


@pytest.mark.parametrize("name", ["Q 7", "999", "-1000"])
def test_an_unknown_group_is_refused(name):
    with pytest.raises(
        InvalidFormat, match=f"space group '{name}' is unknown; list the operations"
    ):
        read_symmetry(Block("x", {"_space_group_name_h-m_alt": [name]}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"_space_group_it_number": ["227"]}, "'227' has several origins or settings"),
        ({"_space_group_name_h-m_alt": ["F d -3 m"]}, "'F d -3 m' has several origins"),
        ({"_space_group_name_h-m_alt": ["R -3 m"]}, "'R -3 m' has several origins"),
        ({"_space_group_it_number": ["14"]}, "'14' has several origins or settings"),
        (
            {"_space_group_it_number": ["225"], "_space_group_name_h-m_alt": ["P m -3 m"]},
            "'P m -3 m' is number 221, not 225",
        ),
    ],
)
def test_groups_that_leave_the_operations_open_are_refused(values, message):
    with pytest.raises(InvalidFormat, match=f"{message}.*; give {OPERATIONS[0]}"):
        read_symmetry(Block("x", values))
    assert len(read_symmetry(Block("x", values | listed("x,y,z").values)).rotations) == 1


def test_images_on_a_symmetry_element_are_one_atom():
    symmetry = read_symmetry(Block("x", {"_symmetry_int_tables_number": ["225"]}))
    cell = 5.64 * np.eye(3)
    assert len(images(symmetry, np.zeros(3), cell)) == 4
    assert len(images(symmetry, np.array([0.3333, 0.3333, 0.3334]), cell)) == 32
    assert len(images(symmetry, np.array([0.11, 0.23, 0.37]), cell)) == 192
