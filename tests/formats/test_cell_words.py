import numpy as np
import pytest

from app.errors import InvalidFormat
from app.formats.extxyz import parse

LATTICE = 'Lattice="5 0 0 0 5 0 0 0 5"'


@pytest.mark.parametrize(
    ("comment", "name"),
    [
        *(("cell 5 5 5", "cell"), ("box 5.3 5.3 5.3", "box"), ("Box: 10 10 10", "Box")),
        *(("argon, unit cell 5.3, 5.3, 5.3", "unit cell"), ("box (5 5 5)", "box")),
        *(("box of 10x10x10", "box"), ("cell 10 x 10 x 10", "cell"), ("cell\t5  5  5", "cell")),
        *(
            ("energy=-1 cell 5 5 5", "cell"),
            ("lattice vectors 5 0 0 0 5 0 0 0 5", "lattice vectors"),
        ),
        *(
            ("cubic box 10 Å", "cubic box"),
            ("box size 10 angstrom", "box size"),
            ("box: 10", "box"),
        ),
        *(
            ("lattice constant 5.43", "lattice constant"),
            ("alat = 5.43", "alat"),
            ("alat 5", "alat"),
        ),
        *(("celldm=5.3", "celldm"), ("celldm(1)=5.3", "celldm(1)"), ("celldm 5.3", "celldm")),
        *(("a=10 b=10 c=10", "a"), ("a=4 c=6", "a"), ("a=5 alpha=60", "a"), ("A=9 B=9 C=9", "a")),
        *(("a: 10 b: 10 c: 10", "a"), ("a 10 b 10 c 10", "a"), ("a = 4.05 Å, b = a", "a")),
        *(
            ("TV 10 0 0", "TV"),
            ("Tv: 10 0 0", "Tv"),
            ('TV1="10 0 0"', "TV1"),
            ("VEC1 9 0 0", "VEC1"),
        ),
        *(("CRYST1 5 5 5 90 90 90", "CRYST1"), ("Lx=9 Ly=9 Lz=9", "Lx"), ("box_x=9", "box_x")),
        *(('abc="9 9 9"', "abc"), ("ABC 9 9 9", "ABC"), ('box_bounds="0 9 0 9 0 9"', "box_bounds")),
        *(
            ("cell_a=9", "cell_a"),
            ("_cell_length_a=9", "_cell_length_a"),
            ("cell_edges=9", "cell_edges"),
        ),
    ],
)
def test_cells_under_other_names_are_refused_with_what_to_write(comment, name):
    (frame,) = parse(f"1\n{comment}\nAr 0 0 0\n")
    assert isinstance(frame.structure, InvalidFormat)
    assert f"line 2: {name}: did you mean Lattice? write the three" in str(frame.structure)


@pytest.mark.parametrize(
    "comment",
    [
        *(
            "a=5.43",
            "a=1",
            "b=2 c=3",
            "cell 3 of 10",
            "box 2",
            "fuel cell 2",
            "cell",
            "HeLa cell 3 4",
        ),
        *("lattice relaxed: 1", "cell_line=HeLa", "supercell 2 2 2 of argon", "a 10 of 20", "tv 3"),
        *(
            "aba=3 abacus=4",
            "vec=1",
            "TV set",
            "cells: 3",
            "unit cell",
            "black box 7 tests",
            "a=x b=y",
        ),
    ],
)
def test_words_that_state_no_cell_are_remarks(comment):
    (frame,) = parse(f"1\n{comment}\nAr 0 0 0\n")
    assert frame.structure.symbols == ["Ar"]


@pytest.mark.parametrize("comment", ["cell 5 5 5", "a=10 b=10 c=10", "celldm=5.3"])
def test_a_lattice_says_what_the_cell_is(comment):
    (frame,) = parse(f"1\n{LATTICE} {comment}\nAr 0 0 0\n")
    np.testing.assert_array_equal(frame.structure.cell, 5 * np.eye(3))
