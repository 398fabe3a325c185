"""How far the members of a committee disagree, beside numbers made by hand."""

import numpy as np
from numpy.testing import assert_allclose

from app.atoms.uncertainty import energies_spread, forces_spread


def test_energies_spread_by_their_standard_deviation() -> None:
    assert_allclose(energies_spread(np.array([[1.0, 5.0], [3.0, 5.0]])), [1.0, 0.0])
    assert_allclose(energies_spread(np.array([1.0, 2.0, 3.0])), np.sqrt(2.0 / 3.0))


def test_forces_spread_by_the_length_of_their_deviation_whatever_their_direction() -> None:
    forces = np.zeros((2, 3, 3))
    forces[:, 1] = [[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0]]
    forces[:, 2] = [[2.0, 5.0, -1.0], [2.0, -3.0, 2.0]]
    assert_allclose(forces_spread(forces), [0.0, 3.0, np.hypot(4.0, 1.5)])
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    assert_allclose(forces_spread(forces @ rotation.T), forces_spread(forces))
