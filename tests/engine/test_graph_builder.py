"""Neighbour lists of what arrives together: the same as one by one, and not on the event loop where
they are many.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.atoms.neighbors import MAX_EDGES, build_graph
from app.atoms.structure import Structure
from app.engine import graph_builder as lists
from app.engine.graph_builder import TURN_ATOMS, Lists
from app.errors import InvalidStructure
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


def asked(structures, cutoffs=(CUTOFF,)):
    """What became of all structures, asked for in one turn, and the threads that made lists."""
    threads = set()
    build = lists.build_graph, lists.build_graphs

    def noted(make):
        def run(*arguments):
            threads.add(threading.current_thread().name.partition("_")[0])
            return make(*arguments)

        return run

    async def main():
        with ThreadPoolExecutor(2, thread_name_prefix="graphs") as pool:
            maker = Lists(asyncio.get_running_loop(), pool)
            turns = (
                maker.graph(s, cutoffs[i % len(cutoffs)], MAX_EDGES)
                for i, s in enumerate(structures)
            )
            return await asyncio.gather(*turns, return_exceptions=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "build_graph", noted(build[0]))
        patch.setattr(lists, "build_graphs", noted(build[1]))
        return asyncio.run(main()), threads


def assert_equal(found, structure, cutoff=CUTOFF):
    expected = build_graph(structure, cutoff)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))


def test_a_few_are_made_at_once():
    structures = [cluster(ELEMENTS, n, seed=n) for n in (3, 9, 20)]
    found, threads = asked(structures)
    assert threads == {"MainThread"}
    for graph, structure in zip(found, structures, strict=True):
        assert_equal(graph, structure)


def test_a_large_one_is_made_elsewhere():
    structure = cluster(ELEMENTS, lists.ALONE_ATOMS + 1, seed=1)
    (found,), threads = asked([structure])
    assert threads == {"graphs"}
    assert_equal(found, structure)


def test_of_many_the_rest_is_made_elsewhere_each_with_its_own_cutoff(monkeypatch):
    monkeypatch.setattr(lists, "TURN_ATOMS", 30)
    monkeypatch.setattr(lists, "JOB_ATOMS", 50)
    structures = [cluster(ELEMENTS, 5 + n % 20, seed=n) for n in range(20)] + [
        box(ELEMENTS, 12, seed=1)
    ]
    found, threads = asked(structures, cutoffs=(CUTOFF, 3.0))
    assert threads == {"MainThread", "graphs"}
    for i, (graph, structure) in enumerate(zip(found, structures, strict=True)):
        assert_equal(graph, structure, (CUTOFF, 3.0)[i % 2])


def test_a_bad_one_among_many_costs_the_others_nothing(monkeypatch):
    monkeypatch.setattr(lists, "TURN_ATOMS", 1)
    structures = [cluster(ELEMENTS, 6, seed=n) for n in range(6)]
    structures[3] = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0.0, 0, 0.01]]))
    found, _ = asked(structures)
    assert isinstance(found[3], InvalidStructure)
    assert "structure 3" not in str(found[3])
    for i in (0, 1, 2, 4, 5):
        assert_equal(found[i], structures[i])


def test_the_next_turn_begins_anew():
    async def main():
        with ThreadPoolExecutor(1) as pool:
            maker = Lists(asyncio.get_running_loop(), pool)
            structure = cluster(ELEMENTS, 150, seed=1)
            for _ in range(2 * TURN_ATOMS // 150):
                await maker.graph(structure, CUTOFF, MAX_EDGES)
                await asyncio.sleep(0)
                assert not maker._waiting
                assert maker._atoms == 0

    asyncio.run(main())
