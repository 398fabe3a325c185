"""Blocks share the weight of atoms, and bins find what a search of all finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.atoms.blocks import Bins, divided, edge_weights, halved
from app.atoms.neighbors import build_graph, heights
from app.atoms.structure import Structure

HEIGHTS = np.array([7.0, 3.0, 11.0])
counts = st.integers(1, 12)


def points(least: int = 1) -> st.SearchStrategy[np.ndarray]:
    """(N, 3) fractions, many of them equal."""
    coarse = st.integers(0, 40).map(lambda i: i / 40)
    return st.integers(least, 60).flatmap(lambda n: arrays.arrays(float, (n, 3), elements=coarse))


@given(points(), counts, st.integers(0, 1000))
def test_each_atom_is_in_one_block_of_about_the_same_weight(
    fractions: np.ndarray, count: int, seed: int
) -> None:
    weights = np.random.default_rng(seed).uniform(0.5, 4.0, len(fractions))
    blocks = divided(fractions, HEIGHTS, weights, count)
    assert len(blocks) == min(count, len(fractions))
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), np.arange(len(fractions)))
    # a cut is at most one atom off its place, which halves with every further cut
    off = 2.0 * weights.max()
    if len(fractions) >= 8 * count:
        assert all(abs(weights[b].sum() - weights.sum() / count) <= off for b in blocks)


@given(points(2))
def test_halves_are_equal(fractions: np.ndarray) -> None:
    first, second = halved(fractions, HEIGHTS)
    assert 0 <= len(second) - len(first) <= 1
    assert sorted([*first, *second]) == list(range(len(fractions)))


@given(points(), arrays.arrays(float, (2, 3), elements=st.floats(-0.5, 1.5)), st.floats(0.01, 2.0))
def test_bins_find_what_is_in_a_box(
    fractions: np.ndarray, corners: np.ndarray, width: float
) -> None:
    low, high = corners.min(axis=0), corners.max(axis=0)
    found = Bins(fractions, np.full(3, width)).within(low, high)
    inside = ((fractions >= low) & (fractions <= high)).all(axis=1)
    np.testing.assert_array_equal(np.sort(found), np.flatnonzero(inside))


def test_weights_are_the_edges_that_a_search_finds() -> None:
    """Of a crystal with a dense and a thin half, in the mean over each."""
    cell = np.diag([40.0, 24.0, 24.0])
    grid = np.stack(np.meshgrid(*map(np.arange, (20, 12, 12))), axis=-1).reshape(-1, 3) / [
        20,
        12,
        12,
    ]
    kept = grid[(grid[:, 0] < 0.5) | (np.arange(len(grid)) % 4 == 0)]
    for sites, pbc in ((kept, True), (kept, False)):
        crystal = Structure(np.full(len(sites), 18), sites @ cell, cell, np.full(3, pbc))
        edges = np.bincount(build_graph(crystal, 4.5).edge_index[0], minlength=len(sites))
        weights = edge_weights(sites, heights(cell), crystal.pbc, 4.5)
        for half in (sites[:, 0] < 0.5, sites[:, 0] >= 0.5):
            assert 0.6 < weights[half].sum() / (1 + edges[half]).sum() < 1.4


def test_thin_cells_count_their_images() -> None:
    cell = np.eye(3) * 2.0
    weights = edge_weights(np.zeros((1, 3)), heights(cell), np.full(3, True), 4.0)
    edges = len(
        build_graph(Structure([6], np.zeros((1, 3)), cell, np.full(3, True)), 4.0).edge_reverse
    )
    assert 0.5 < weights[0] / (1 + edges) < 2.0
