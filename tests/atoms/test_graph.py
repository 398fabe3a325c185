from dataclasses import fields, replace

import numpy as np
import pytest

from app.atoms.graph import collate
from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure

DIMER = Structure(np.array([18, 10]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3.0]]), charge=-1)
CHAIN = Structure(
    np.array([6, 1]),
    np.array([[0.5, 0.0, 0.0], [9.0, 1.0, 0.0]]),
    np.array([[4.0, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
    np.array([True, False, False]),
    multiplicity=2,
)
CRYSTAL = Structure(np.array([29]), np.zeros((1, 3)), np.eye(3) * 3.0, np.True_)
LONE = Structure(np.array([2]), np.ones((1, 3)))


@pytest.fixture
def graphs():
    return [build_graph(s, 4.5) for s in (DIMER, CHAIN, LONE, CRYSTAL)]


def test_edges_of_a_dimer():
    graph = build_graph(DIMER, 4.5)
    np.testing.assert_array_equal(graph.edge_index, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(graph.edge_reverse, [1, 0])
    np.testing.assert_array_equal(graph.edge_vectors(), [[0, 0, 3], [0, 0, -3]])
    assert (graph.charge.tolist(), graph.multiplicity.tolist()) == ([-1], [0])


def test_collate_offsets_atoms_and_edges(graphs):
    joined = collate(graphs)
    np.testing.assert_array_equal(joined.n_atoms, [2, 2, 1, 1])
    np.testing.assert_array_equal(joined.n_edges, [len(g.edge_reverse) for g in graphs])
    np.testing.assert_array_equal(joined.atom_structure, [0, 0, 1, 1, 2, 3])
    np.testing.assert_array_equal(
        joined.edge_vectors(), np.concatenate([g.edge_vectors() for g in graphs])
    )
    centre, neighbour = joined.edge_index
    np.testing.assert_array_equal(joined.atom_structure[centre], joined.atom_structure[neighbour])
    np.testing.assert_array_equal(centre[joined.edge_reverse], neighbour)
    np.testing.assert_array_equal(joined.edge_shift[joined.edge_reverse], -joined.edge_shift)
    assert (np.diff(centre) >= 0).all()
    np.testing.assert_array_equal(joined.charge, [-1, 0, 0, 0])
    np.testing.assert_array_equal(joined.multiplicity, [0, 2, 0, 0])


def test_collate_of_collated_graphs_is_the_same(graphs):
    once, twice = collate(graphs), collate([collate(graphs[:3]), graphs[3]])
    for field in fields(once):
        np.testing.assert_array_equal(getattr(once, field.name), getattr(twice, field.name))


def test_collate_of_one_graph_is_that_graph(graphs):
    assert collate(graphs[:1]) is graphs[0]


def test_collate_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one graph"):
        collate([])


def test_volumes_are_of_crystals_only(graphs):
    np.testing.assert_allclose(collate(graphs).volumes(), [np.nan, np.nan, np.nan, 27.0])


def test_volume_of_a_left_handed_cell_is_positive():
    left = replace(CRYSTAL, cell=-CRYSTAL.cell)
    assert build_graph(left, 4.5).volumes() == pytest.approx(27.0)


def test_sums_by_centre_are_those_of_a_loop(graphs):
    graph = collate(graphs)
    values = np.random.default_rng(0).normal(size=(len(graph.edge_reverse), 2))
    expected = np.zeros((len(graph.numbers), 2))
    for centre, value in zip(graph.edge_index[0], values, strict=True):
        expected[centre] += value
    np.testing.assert_allclose(graph.sum_by_centre(values), expected, rtol=0, atol=1e-13)


def test_sums_of_an_atom_without_edges_are_zero():
    np.testing.assert_array_equal(
        build_graph(LONE, 4.5).sum_by_centre(np.zeros((0, 3))), np.zeros((1, 3))
    )
