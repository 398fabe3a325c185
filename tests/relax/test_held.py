"""Internal coordinates: as ASE measures them, with gradients of finite differences, and held."""

import numpy as np
import pytest
from ase.build import molecule

from app.errors import InvalidStructure
from app.relax.held import Held, gradient, measure

POINTS = np.random.default_rng(3).normal(size=(4, 3))


def test_as_ase_measures_them() -> None:
    atoms = molecule("C2H6")
    chosen = (2, 0, 1, 6)
    points = atoms.positions
    assert measure(points[[0, 1]]) == pytest.approx(atoms.get_distance(0, 1))
    assert np.degrees(measure(points[[2, 0, 1]])) == pytest.approx(atoms.get_angle(2, 0, 1))
    angle = np.degrees(measure(points[list(chosen)])) % 360
    assert angle == pytest.approx(atoms.get_dihedral(*chosen))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_gradients(count: int) -> None:
    points, h = POINTS[:count], 1e-6
    found = gradient(points)
    for index in np.ndindex(points.shape):
        step = np.zeros_like(points)
        step[index] = h
        slope = (measure(points + step) - measure(points - step)) / (2 * h)
        assert found[index] == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize(("count", "value"), [(2, 1.9), (3, 2.0), (4, -3.1), (4, 0.5)])
def test_positions_are_led_to_the_value_and_forces_lose_their_part(
    count: int, value: float
) -> None:
    held = Held(tuple(range(count)), value)
    fixed = np.array([True, False, False, False])
    led = held.restored(POINTS, fixed)
    assert held.off(led) == pytest.approx(0, abs=1e-9)
    assert (led[0] == POINTS[0]).all()
    forces = np.random.default_rng(1).normal(size=(4, 3))
    forces[0] = 0
    kept = held.projected(forces, led, fixed)
    slopes = gradient(led[:count])
    assert (kept[1:count] * slopes[1:]).sum() == pytest.approx(0, abs=1e-12)
    assert (kept[0] == 0).all()


def test_what_has_no_direction_is_refused() -> None:
    row = np.array([[0, 0, 0], [0, 0, 1.0], [0, 0, 2.0], [0, 1.0, 3.0]])
    with pytest.raises(InvalidStructure, match="in a line"):
        gradient(row[:3])
    with pytest.raises(InvalidStructure, match="in a line"):
        measure(row)
    with pytest.raises(InvalidStructure, match="all fixed"):
        Held((0, 1), 3.0).restored(row, np.ones(4, dtype=bool))
