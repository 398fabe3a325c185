"""The library of vesin, called by itself."""

import numpy as np
import pytest

from app.atoms import cell_list
from app.atoms.cell_list import half_list

BOX = 10.0 * np.eye(3)


def test_a_pair_across_the_border_has_its_translation() -> None:
    positions = np.array([[0.5, 5.0, 5.0], [9.5, 5.0, 5.0]])
    with half_list(positions, BOX, 2.0) as (pairs, shifts, distances):
        (i, j), shift = pairs[0], shifts[0]
        assert len(pairs) == len(shifts) == len(distances) == 1
        assert {i, j} == {0, 1}
        assert (pairs.dtype, shifts.shape) == (np.int64, (1, 3))
        apart = positions[j] - positions[i] + shift @ BOX
        assert np.linalg.norm(apart) == pytest.approx(1.0)
        assert distances[0] == pytest.approx(1.0)


def test_atoms_out_of_reach_give_empty_arrays() -> None:
    with half_list(np.array([[0.0, 0, 0], [5.0, 0, 0]]), BOX, 2.0) as (pairs, shifts, distances):
        assert (pairs.shape, shifts.shape, distances.shape) == ((0, 2), (0, 3), (0,))


def test_arrays_of_any_layout_are_read() -> None:
    random = np.random.default_rng(0)
    positions, box = 10.0 * random.random((3, 30)).T, np.asfortranarray(BOX + random.random((3, 3)))
    with half_list(positions, box, 4.0) as (pairs, shifts, distances):
        i, j = pairs.T
        apart = positions[j] - positions[i] + shifts @ box
        assert len(pairs) > 30
        np.testing.assert_allclose(np.linalg.norm(apart, axis=1), distances)


def test_what_vesin_refuses_is_said_in_its_words() -> None:
    with pytest.raises(RuntimeError, match="cutoff"), half_list(np.zeros((1, 3)), BOX, -1.0):
        pytest.fail("there is no list for a negative cutoff")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    cell_list.open_library.cache_clear()
    monkeypatch.setattr(cell_list, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match="pip install vesin"):
        cell_list.open_library()
