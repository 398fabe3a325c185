from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from app.atoms.structure import (
    MAX_COORDINATE,
    Structure,
    complete_cell,
    periodic_cell,
)
from app.errors import InvalidStructure

WATER = {
    "numbers": np.array([8, 1, 1]),
    "positions": np.array([[0.0, 0.0, 0.1], [0.0, 0.9, -0.6], [0.0, -0.9, -0.6]]),
}
TRUE = np.True_


def test_values_are_copied_frozen_and_have_their_types():
    positions = np.zeros((2, 3), dtype=np.float32)
    positions[1, 0] = 1.0
    structure = Structure(np.array([1, 1], dtype=np.uint8), positions)
    positions[0] = 5.0
    assert (structure.numbers.dtype, structure.positions.dtype) == (np.int64, np.float64)
    np.testing.assert_array_equal(structure.positions, [[0, 0, 0], [1, 0, 0]])
    for array in (structure.numbers, structure.positions, structure.cell, structure.pbc):
        assert not array.flags.writeable
    with pytest.raises(FrozenInstanceError):
        structure.charge = 1


def test_defaults_are_a_neutral_molecule():
    molecule = Structure(**WATER)
    assert (len(molecule), molecule.symbols) == (3, ["O", "H", "H"])
    assert (molecule.charge, molecule.multiplicity, molecule.is_bulk) == (0, None, False)
    assert not molecule.cell.any()


@pytest.mark.parametrize(
    ("pbc", "flags"), [(True, [1, 1, 1]), (np.array([True, False, True]), [1, 0, 1])]
)
def test_pbc_is_one_flag_or_three(pbc, flags):
    structure = Structure(**WATER, cell=np.eye(3) * 5, pbc=pbc)
    np.testing.assert_array_equal(structure.pbc, flags)
    assert structure.is_bulk == all(flags)


def test_volume_does_not_depend_on_handedness():
    cell = np.array([[3.0, 0, 0], [0, 4.0, 0], [1.0, 1.0, 5.0]])
    for rows in ([0, 1, 2], [1, 0, 2]):
        assert Structure(**WATER, cell=cell[rows], pbc=TRUE).volume == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"numbers": np.array([], dtype=int), "positions": np.zeros((0, 3))},
            "no atoms; give at least one",
        ),
        ({"numbers": np.array([[8, 1, 1]])}, r"numbers: shape \(1, 3\); expected \(N,\)"),
        ({"numbers": np.array([8, 1])}, r"positions: shape \(3, 3\); expected \(2, 3\)"),
        ({"numbers": np.array([8, 0, 1])}, "atom 1: atomic number 0; expected 1 to 118"),
        ({"numbers": np.array([8, 1, 119])}, "atom 2: atomic number 119; expected 1 to 118"),
        ({"numbers": np.array([8.0, 1, 1])}, "numbers: float64 values; expected integers"),
        ({"numbers": [8, 1, 2**70]}, "numbers: object values; expected integers"),
        (
            {"positions": [[0, 0, 0]] * 2 + [[0, 0]]},
            r"positions: not an array of numbers of shape \(3, 3\)",
        ),
        ({"positions": [[0, 0, 10**400]] * 3}, "positions: not an array of numbers"),
        ({"positions": [["a", 0, 0]] * 3}, "positions: not an array of numbers"),
        (
            {"positions": np.diag([1.0, np.nan, 0.0])},
            r"atom 1 \(H\): y = nan; coordinates must be finite",
        ),
        ({"positions": np.diag([-np.inf, 0.0, 0.0])}, r"atom 0 \(O\): x = -inf"),
        (
            {"positions": np.diag([0.0, 0.0, 2 * MAX_COORDINATE])},
            r"atom 2 \(H\): z = 2000000.0.* at most 1e\+06 Å",
        ),
        ({"cell": np.eye(2)}, r"cell: shape \(2, 2\); expected \(3, 3\)"),
        (
            {"cell": np.diag([4.0, np.nan, 4.0])},
            r"cell: vector 1 is \[0.0, nan, 0.0\]; it must be finite",
        ),
        ({"cell": np.diag([4.0, 4.0, 1e300]), "pbc": TRUE}, "cell: vector 2 .* it must be finite"),
        (
            {"pbc": TRUE},
            "periodic along vector 0, which is 0 Å long; give a cell, or set pbc to false",
        ),
        (
            {"cell": np.diag([4, 0.2, 4.0]), "pbc": TRUE},
            "periodic along vector 1, which is 0.2 Å long",
        ),
        ({"cell": [[4, 0, 0], [0, 4, 0], [4, 4, 0]], "pbc": TRUE}, "cell: its volume is zero"),
        (
            {"cell": [[4, 0, 0], [8, 0, 0], [0, 0, 0]], "pbc": np.array([True, True, False])},
            "cell: its volume is zero",
        ),
        ({"pbc": 1}, "pbc: expected true, false or three of them"),
        ({"pbc": np.array([True, False])}, "pbc: expected true, false or three of them"),
        ({"charge": 0.5}, "charge: 0.5; expected an integer"),
        ({"charge": 1000}, "charge: 1000, but the atoms have .* electrons"),
        ({"charge": 10**30}, "charge: 1000.*; expected -10000 to 10000"),
        ({"multiplicity": 0}, "multiplicity: 0; expected 1 to"),
    ],
)
def test_bad_values_are_named(change, message):
    with pytest.raises(InvalidStructure, match=message):
        Structure(**{**WATER, **change})


def test_vectors_without_period_do_not_matter():
    cell = np.array([[4.0, 0, 0], [0, 0, 0], [8.0, 0, 0]])
    wire = Structure(**WATER, cell=cell, pbc=np.array([True, False, False]))
    full = periodic_cell(wire.cell, wire.pbc)
    np.testing.assert_array_equal(full[0], cell[0])
    np.testing.assert_allclose(full[1:] @ full[1:].T, np.eye(2), atol=1e-15)


@pytest.mark.parametrize("rows", [[], [0], [1], [2], [0, 1], [0, 2], [1, 2]])
def test_complete_cell_adds_orthogonal_unit_vectors(rows):
    cell = np.random.default_rng(1).normal(size=(3, 3))
    cell[[row for row in range(3) if row not in rows]] = 0.0
    full = complete_cell(cell)
    np.testing.assert_array_equal(full[rows], cell[rows])
    others = [row for row in range(3) if row not in rows]
    np.testing.assert_allclose(full[others] @ full[others].T, np.eye(len(others)), atol=1e-14)
    np.testing.assert_allclose(full[others] @ cell[rows].T, 0.0, atol=1e-14)


def test_atoms_at_other_places():
    structure = Structure(
        [8, 1], [[0, 0, 0], [0, 0, 1]], 5 * np.eye(3), True, 1, 2, np.array([True, False])
    )
    places = np.ones((2, 3)) * [[1.0], [2.0]]
    moved = structure.at(places)
    places[0] = 7.0
    assert (moved.positions == [[1, 1, 1], [2, 2, 2]]).all()
    assert not moved.positions.flags.writeable
    assert (structure.positions == [[0, 0, 0], [0, 0, 1]]).all()
    for name in ("numbers", "cell", "pbc", "charge", "multiplicity", "fixed"):
        assert getattr(moved, name) is getattr(structure, name)
    for bad, message in (
        ([[0.0, 0, 0]], "positions: shape"),
        ([[0, 0, 0], [0, 0, np.nan]], r"atom 1 \(H\): z = nan"),
    ):
        with pytest.raises(InvalidStructure, match=message):
            structure.at(bad)


def test_replace_validates_again():
    with pytest.raises(InvalidStructure, match="no atoms"):
        replace(Structure(**WATER), numbers=np.array([], dtype=int), positions=np.zeros((0, 3)))
