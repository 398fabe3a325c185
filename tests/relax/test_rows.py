"""Rows of atoms and cells: what belongs together stays together."""

import numpy as np
import pytest

from app.atoms.structure import Floats
from app.relax.rows import Rows, first_rows

SIZES = (2, 1, 4)


@pytest.fixture
def rows() -> Rows:
    return Rows(np.array(SIZES))


@pytest.fixture
def x() -> Floats:
    """(M, 3), Å: structures that are deformed a little."""
    rng = np.random.default_rng(0)
    undeformed = [first_rows(rng.normal(size=(n, 3))) for n in SIZES]
    return np.concatenate([own + 0.1 * rng.normal(size=own.shape) for own in undeformed])


def test_each_structure_has_its_atoms_and_three_rows(rows: Rows, x: Floats) -> None:
    assert [len(own) for own in rows.split(x)] == [n + 3 for n in SIZES]
    assert [len(own) for own in rows.split_atoms(x[rows.is_atom])] == list(SIZES)
    np.testing.assert_array_equal(rows.spread(np.arange(3.0))[:, 0], rows.structure)


def test_sums_are_those_of_each_structure(rows: Rows, x: Floats) -> None:
    own = rows.split(x)
    np.testing.assert_allclose(rows.dot(x, x), [np.vdot(part, part) for part in own])
    longest = [np.linalg.norm(part, axis=1).max() for part in own]
    np.testing.assert_allclose(rows.longest(x), longest)


def test_what_is_not_deformed_is_where_it_was(rows: Rows) -> None:
    positions = [np.arange(3.0 * n).reshape(n, 3) for n in SIZES]
    x = np.concatenate([first_rows(own) for own in positions])
    np.testing.assert_allclose(rows.positions(x), np.concatenate(positions))
    np.testing.assert_allclose(rows.deformations(x), np.broadcast_to(np.eye(3), (3, 3, 3)))


def test_forces_on_rows_are_the_gradient_by_them(rows: Rows, x: Floats) -> None:
    """Of an energy that is linear in positions and deformation gradients."""
    rng = np.random.default_rng(1)
    on_atoms, on_cells = rng.normal(size=(sum(SIZES), 3)), rng.normal(size=(3, 3, 3))
    deformations = rows.deformations(x)

    def energy(x: Floats) -> float:
        """Atoms move in the frame of the cells as they are; these change by themselves."""
        moved = np.einsum("na,nba->nb", x[rows.is_atom], deformations[rows.of_atom])
        return -float(np.vdot(on_atoms, moved) + np.vdot(on_cells, rows.deformations(x)))

    forces = rows.forces(x, on_atoms, on_cells)
    direction = rng.normal(size=x.shape)
    slope = (energy(x + 1e-3 * direction) - energy(x - 1e-3 * direction)) / 2e-3
    assert slope == pytest.approx(-np.vdot(forces, direction))
