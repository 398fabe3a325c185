"""The search of large and almost empty boxes, against the one of `vesin` and against ASE's."""

import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from app.atoms import cell_list, hash_grid
from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure

CUTOFF = 4.0


def both_ways(pairs, shifts):
    """(2M, 5) atoms and translations of the pairs in both directions, sorted; each is there once."""
    there, back = np.hstack([pairs, shifts]), np.hstack([pairs[:, ::-1], -shifts])
    rows = np.unique(np.concatenate([there, back]), axis=0)
    assert len(rows) == 2 * len(pairs)
    return rows


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.lists(st.sampled_from([0.7, 2.0, 4.5, 9.0, 30.0]), min_size=3, max_size=3),
    st.floats(0.0, 0.4),
)
def test_the_same_pairs_as_vesin(seed, n_atoms, lengths, skew):
    rng = np.random.default_rng(seed)
    box = np.diag(lengths) @ (np.eye(3) + skew * rng.uniform(-1, 1, (3, 3)))
    positions = rng.uniform(-1.5, 1.5, (n_atoms, 3)) @ box
    found_pairs, found_shifts, found_distances = hash_grid.half_list(positions, box, CUTOFF)
    with cell_list.half_list(positions, box, CUTOFF) as (pairs, shifts, distances):
        np.testing.assert_array_equal(
            both_ways(found_pairs, found_shifts), both_ways(pairs, shifts)
        )
        np.testing.assert_allclose(np.sort(found_distances), np.sort(distances), atol=1e-9)


HUGE = [
    ([2500, 2500, 9], True),
    ([1e6, 9, 9], True),
    ([1e4, 1e4, 9], (True, True, False)),
    ([1e6, 1e6, 1e6], True),
    ([1e6, 1e6, 0.5], True),
    ([9, 0, 0], (True, False, False)),
]


@pytest.mark.parametrize(("lengths", "pbc"), HUGE, ids=[str(lengths) for lengths, _ in HUGE])
def test_few_atoms_in_a_huge_box(lengths, pbc):
    cell = np.diag(lengths)
    spread = 5000.0 if np.ndim(pbc) else 1.0
    positions = np.array([[0, 0, 0], [1, 1, 1], [3, 0, 0.2], [0, spread, -spread], [-1, 0, 0.0]])
    numbers = np.full(5, 6)
    graph = build_graph(Structure(numbers, positions, cell, np.broadcast_to(pbc, 3)), CUTOFF)
    small = np.where(np.array(lengths) > 100, 100.0, lengths)
    atoms = Atoms(numbers, positions, cell=np.diag(np.where(small == 0, 0, small)), pbc=pbc)
    if not np.ndim(pbc):
        assert len(neighbor_list("i", atoms, CUTOFF)) == graph.n_edges[0]
    assert graph.n_edges[0] % 2 == 0
    assert (np.linalg.norm(graph.edge_vectors(), axis=1) < CUTOFF).all()


def test_no_box_ends_the_process():
    script = (
        "import numpy as np; from app.atoms.neighbors import build_graph;"
        "from app.atoms.structure import Structure\n"
        "for a in (1000, 2000, 1e4, 1e6):\n"
        "  for b in (9, 1000, 1e6):\n"
        "    for c in (1, 9, 1e6):\n"
        "      s = Structure(np.array([6]), np.zeros((1, 3)), np.diag([a, b, c]), np.array(True))\n"
        "      assert build_graph(s, 5.0).n_edges[0] == (8 if c == 1 else 0)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
