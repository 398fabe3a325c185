"""Graphs of what arrives together: as one by one, and many not on the event loop."""

import asyncio
import threading

import numpy as np
import pytest

from app.atoms.neighbors import MAX_EDGES, build_graph
from app.atoms.structure import Structure
from app.backends.findings import Tables
from app.engine import graph_builder
from app.engine.graph_builder import ALONE_ATOMS, TURN_ATOMS, GraphBuilder
from app.engine.observer import NullObserver
from app.errors import InvalidStructure
from app.store.training_range import TrainingRange
from app.training.export.synthetic import box, cluster

ELEMENTS = ("H", "C", "O")
CUTOFF = 4.0
FIELDS = (
    "numbers",
    "positions",
    "cell",
    "pbc",
    "edge_index",
    "edge_shift",
    "edge_reverse",
    "n_atoms",
    "n_edges",
)


def asked(structures, skins=(0.0,)):
    """What became of all structures, asked for in one turn, and the threads that made their graphs."""
    threads = set()
    build = graph_builder.build_graph, graph_builder.build_graphs

    def noted(make):
        def run(*arguments):
            threads.add(threading.current_thread().name.partition("_")[0])
            return make(*arguments)

        return run

    async def main():
        builder = GraphBuilder(CUTOFF, MAX_EDGES, NullObserver())
        builder.start()
        turns = (builder.graph(s, skins[i % len(skins)]) for i, s in enumerate(structures))
        try:
            return await asyncio.gather(*turns, return_exceptions=True)
        finally:
            builder.stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_builder, "build_graph", noted(build[0]))
        patch.setattr(graph_builder, "build_graphs", noted(build[1]))
        return asyncio.run(main()), threads


def assert_equal(actual, structure, cutoff=CUTOFF):
    expected = build_graph(structure, cutoff)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(actual, field), getattr(expected, field))


def test_a_few_are_made_at_once():
    structures = [cluster(ELEMENTS, n, seed=n) for n in (3, 9, 20)]
    graphs, threads = asked(structures)
    assert threads == {"MainThread"}
    for graph, structure in zip(graphs, structures, strict=True):
        assert_equal(graph, structure)


def test_a_large_one_is_made_elsewhere():
    structure = cluster(ELEMENTS, ALONE_ATOMS + 1, seed=1)
    (graph,), threads = asked([structure])
    assert threads == {"graphs"}
    assert_equal(graph, structure)


def test_of_many_the_rest_is_made_elsewhere_each_with_its_own_skin(monkeypatch):
    monkeypatch.setattr(graph_builder, "TURN_ATOMS", 30)
    monkeypatch.setattr(graph_builder, "JOB_ATOMS", 50)
    structures = [cluster(ELEMENTS, 5 + n % 20, seed=n) for n in range(20)] + [
        box(ELEMENTS, 12, seed=1)
    ]
    graphs, threads = asked(structures, skins=(0.0, 0.5))
    assert threads == {"MainThread", "graphs"}
    for i, (graph, structure) in enumerate(zip(graphs, structures, strict=True)):
        assert_equal(graph, structure, (CUTOFF, CUTOFF + 0.5)[i % 2])


def test_a_bad_one_among_many_costs_the_others_nothing(monkeypatch):
    monkeypatch.setattr(graph_builder, "TURN_ATOMS", 1)
    structures = [cluster(ELEMENTS, 6, seed=n) for n in range(6)]
    structures[3] = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0.0, 0, 0.01]]))
    graphs, _ = asked(structures)
    assert isinstance(graphs[3], InvalidStructure)
    assert "structure 3" not in str(graphs[3])
    for i in (0, 1, 2, 4, 5):
        assert_equal(graphs[i], structures[i])


def test_the_next_turn_begins_anew():
    async def main():
        builder = GraphBuilder(CUTOFF, MAX_EDGES, NullObserver())
        builder.start()
        threads = set()
        build = graph_builder.build_graphs
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(graph_builder, "build_graphs", lambda *a: threads.add(a) or build(*a))
            for _ in range(2 * TURN_ATOMS // 150):
                await builder.graph(cluster(ELEMENTS, 150, seed=1))
                await asyncio.sleep(0)
        builder.stop()
        return threads

    assert not asyncio.run(main())


def test_what_arrives_together_is_compared_together(monkeypatch):
    calls = []
    compare = graph_builder.compared
    monkeypatch.setattr(
        graph_builder, "compared", lambda *a: calls.append(len(a[1].n_atoms)) or compare(*a)
    )
    trained_on = TrainingRange(most_atoms=9, closest={"H-H": 0.7}, farthest={"H": 0.9})
    tables = Tables(trained_on, CUTOFF)
    pairs = [Structure(np.array([1, 1]), np.diag([0.0, 0.0, d])[1:]) for d in (0.8, 0.5, 2.0)]

    async def main():
        builder = GraphBuilder(CUTOFF, MAX_EDGES, NullObserver(), tables=tables)
        builder.start()
        wanted = [builder.built(pair, compares=True) for pair in pairs]
        wanted.append(builder.built(pairs[1], compares=False))
        try:
            return await asyncio.gather(*wanted)
        finally:
            builder.stop()

    told = [list(built.findings.told(tables, 0)) for built in asyncio.run(main())]
    assert calls == [3]
    assert [bool(each) for each in told] == [False, True, True, False]
