"""Neighbour lists that are kept while atoms move."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.atoms.graph import Graph, collate, separate
from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure
from app.atoms.verlet import SKIN, VerletList, pick, still_valid
from app.store.card import ModelCard
from tests.structures import SLAB, random_crystal, random_molecule

CUTOFF = 5.0


def edges(graph: Graph) -> set[tuple[int, ...]]:
    return {
        (i, j, *s)
        for (i, j), s in zip(graph.edge_index.T.tolist(), graph.edge_shift.tolist(), strict=True)
    }


@given(st.integers(0, 3), st.integers(0, 10**6), st.floats(0, 0.5), st.floats(0, 0.1))
def test_a_valid_list_holds_every_pair_within_the_cutoff(
    pair_card: ModelCard, kind: int, seed: int, shake: float, strain: float
) -> None:
    makers = [
        lambda: random_molecule(pair_card, 12, seed),
        lambda: random_crystal(pair_card, (2, 2, 2), seed),
        lambda: random_crystal(pair_card, (2, 1, 1), seed),
        lambda: random_crystal(pair_card, (2, 2, 1), seed, SLAB),
    ]
    old = makers[kind]()
    rng = np.random.default_rng(seed)
    turned = np.eye(3) + strain * rng.uniform(-1, 1, (3, 3)) * (kind in (1, 2))
    moves = rng.normal(size=(len(old), 3))
    moves *= shake / np.linalg.norm(moves, axis=1).max()
    new = Structure(old.numbers, old.positions @ turned + moves, old.cell @ turned, old.pbc)
    before = VerletList(build_graph(old, CUTOFF + SKIN), np.eye(3))
    if not still_valid([before], new.positions, turned.T[None], CUTOFF)[0]:
        return
    kept = replace(before.graph, positions=new.positions, cell=new.cell[None])
    picked, collided = pick(kept, CUTOFF)
    fresh = build_graph(new, CUTOFF)
    assert edges(picked) == edges(fresh)
    assert not collided[0]
    np.testing.assert_array_equal(picked.edge_index[0, picked.edge_reverse], picked.edge_index[1])
    np.testing.assert_array_equal(picked.edge_shift[picked.edge_reverse], -picked.edge_shift)


def test_half_the_skin_is_the_limit_where_the_cell_stays(pair_card: ModelCard) -> None:
    molecule = random_molecule(pair_card, 5, 0)
    pairs = VerletList(build_graph(molecule, CUTOFF + SKIN), np.eye(3))
    for length, valid in ((0.499 * SKIN, True), (0.501 * SKIN, False)):
        moved = molecule.positions.copy()
        moved[2, 1] += length
        assert still_valid([pairs], moved, np.eye(3)[None], CUTOFF)[0] == valid


def test_separate_undoes_collate(pair_card: ModelCard) -> None:
    structures = [
        random_molecule(pair_card, 4, 1),
        random_crystal(pair_card, (1, 2, 1), 2),
        Structure([18], [[0, 0, 0]]),
    ]
    graphs = [build_graph(s, CUTOFF) for s in structures]
    for one, back in zip(graphs, separate(collate(graphs)), strict=True):
        for name in Graph.__slots__:
            np.testing.assert_array_equal(getattr(back, name), getattr(one, name))


def test_atoms_that_collide_are_told(pair_card: ModelCard) -> None:
    far = build_graph(Structure(np.array([18, 18]), np.array([[0.0, 0, 0], [0, 0, 3]])), CUTOFF)
    near = replace(far, positions=far.positions / 20)
    assert pick(collate([far, near]), CUTOFF)[1].tolist() == [False, True]
