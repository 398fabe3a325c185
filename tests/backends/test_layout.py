"""Portions of a graph: every atom and edge once, in slots, within the limit."""

import numpy as np
import pytest

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graphs
from app.backends.layout import dense_edges, portions
from app.training.export.synthetic import box, cluster

ELEMENTS = ("H", "C", "O")


@pytest.fixture(scope="module")
def graph() -> Graph:
    sizes = [cluster(ELEMENTS, n, seed=n) for n in (1, 2, 9, 30)]
    return build_graphs(
        [*sizes, box(ELEMENTS, 1, seed=1), box(ELEMENTS, 12, seed=2), sizes[0]], 5.0
    )


@pytest.mark.parametrize("whole_structures", [False, True])
@pytest.mark.parametrize("most_slots", [1, 40, 300, 10**6])
def test_every_atom_and_edge_is_in_one_portion(graph, most_slots, whole_structures):
    parts = portions(graph, most_slots, whole_structures)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([p.atoms for p in parts])), np.arange(len(graph.numbers))
    )
    edges = np.concatenate([p.edges for p in parts])
    np.testing.assert_array_equal(np.sort(edges), np.arange(len(graph.edge_reverse)))
    for part in parts:
        centre = np.repeat(part.atoms, part.mask.sum(axis=1))
        np.testing.assert_array_equal(graph.edge_index[0, part.edges], centre)
        assert part.mask.shape[1] >= 1


@pytest.mark.parametrize("most_slots", [40, 300])
def test_a_portion_is_over_the_limit_only_if_it_cannot_be_cut(graph, most_slots):
    assert all(
        p.mask.size <= most_slots or len(p.atoms) == 1 for p in portions(graph, most_slots, False)
    )
    owner = graph.atom_structure
    for part in portions(graph, most_slots, True):
        assert part.mask.size <= most_slots or len(set(owner[part.atoms].tolist())) == 1


def test_whole_structures_stay_together(graph):
    owner = graph.atom_structure
    for part in portions(graph, 100, True):
        for structure in set(owner[part.atoms].tolist()):
            assert np.isin(np.flatnonzero(owner == structure), part.atoms).all()


def test_feeds_hold_vectors_and_species_where_the_mask_is_true(graph):
    species, vectors = graph.numbers % 7, graph.edge_vectors()
    for part in portions(graph, 200, False):
        feeds = part.feeds(species, vectors, np.dtype(np.float32))
        assert feeds["edge_vectors"].dtype == np.float32
        np.testing.assert_array_equal(
            feeds["edge_vectors"][part.mask], vectors[part.edges].astype(np.float32)
        )
        expected = species[graph.edge_index[1, part.edges]]
        np.testing.assert_array_equal(feeds["neighbor_species"][part.mask], expected)
        assert not feeds["edge_vectors"][~part.mask].any()


def test_links_lead_to_the_neighbour_and_back(graph):
    for part in portions(graph, 400, True):
        links = part.links()
        neighbors, reverse = links["neighbors"], links["reverse"].ravel()
        np.testing.assert_array_equal(
            part.atoms[neighbors[part.mask]], graph.edge_index[1, part.edges]
        )
        np.testing.assert_array_equal(reverse[reverse], np.arange(reverse.size))
        rows = np.arange(reverse.size) // part.mask.shape[1]
        np.testing.assert_array_equal(rows[reverse][part.mask.ravel()], neighbors[part.mask])
        np.testing.assert_array_equal(
            reverse[~part.mask.ravel()], np.flatnonzero(~part.mask.ravel())
        )


def test_a_whole_graph_is_one_portion_in_its_own_order(graph):
    slots = dense_edges(graph)
    np.testing.assert_array_equal(slots.atoms, np.arange(len(graph.numbers)))
    np.testing.assert_array_equal(slots.edges, np.arange(len(graph.edge_reverse)))
