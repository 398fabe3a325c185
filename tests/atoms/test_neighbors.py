"""Neighbour lists against loops over atoms and images, which know nothing of cell lists."""

import itertools
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from ase.build import bulk, graphene, molecule
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.atoms import neighbors
from app.atoms.graph import Graph, collate
from app.atoms.neighbors import build_graph, build_graphs
from app.atoms.structure import Structure, periodic_cell
from app.errors import InvalidStructure, StructureTooLarge

CUTOFF = 3.0
MARGIN = 1e-9
"""Å; pairs as close as this to the cutoff may be in the list or not."""


def images(structure: Structure, cutoff: float) -> list[range]:
    """Lattice translations along each vector that can bring two atoms within the cutoff."""
    cell = periodic_cell(structure.cell, structure.pbc)
    ranges = []
    for axis in range(3):
        normal = np.cross(cell[axis - 2], cell[axis - 1])
        normal /= np.linalg.norm(normal)
        extent = np.ptp(structure.positions @ normal)
        most = math.ceil((cutoff + extent) / abs(cell[axis] @ normal)) if structure.pbc[axis] else 0
        ranges.append(range(-most, most + 1))
    return ranges


def oracle(structure: Structure, cutoff: float) -> dict[tuple[int, ...], float]:
    """Distance by (centre, neighbour, shift) of all pairs up to a little beyond the cutoff."""
    shifts = np.array(list(itertools.product(*images(structure, cutoff))))  # (S, 3)
    neighbours = structure.positions + (shifts @ structure.cell)[:, None]  # (S, N, 3)
    distances = np.linalg.norm(neighbours[:, None] - structure.positions[:, None], axis=3)
    near = np.argwhere(distances < cutoff + MARGIN).tolist()
    return {
        (i, j, *shifts[image].tolist()): float(distances[image, i, j])
        for image, i, j in near
        if i != j or shifts[image].any()
    }


def check(graph: Graph, structure: Structure, cutoff: float) -> None:
    """Raise AssertionError unless the graph is exactly what the loops find."""
    centre, neighbour = graph.edge_index
    edges = list(
        zip(centre.tolist(), neighbour.tolist(), *graph.edge_shift.T.tolist(), strict=True)
    )
    expected = oracle(structure, cutoff)
    assert len(set(edges)) == len(edges)
    assert {e for e, d in expected.items() if d < cutoff - MARGIN} <= set(edges) <= set(expected)
    distances = np.linalg.norm(graph.edge_vectors(), axis=1)
    np.testing.assert_allclose(distances, [expected[e] for e in edges], rtol=0, atol=1e-8)
    check_order(graph)


def check_order(graph: Graph) -> None:
    """Raise AssertionError unless edges are sorted by centre and know their reverse."""
    centre, neighbour = graph.edge_index
    reverse = graph.edge_reverse
    assert (np.diff(centre) >= 0).all()
    np.testing.assert_array_equal(centre[reverse], neighbour)
    np.testing.assert_array_equal(neighbour[reverse], centre)
    np.testing.assert_array_equal(graph.edge_shift[reverse], -graph.edge_shift)
    np.testing.assert_array_equal(reverse[reverse], np.arange(len(reverse)))
    np.testing.assert_array_equal(
        np.bincount(graph.atom_structure[centre], minlength=len(graph.n_edges)), graph.n_edges
    )
    assert {a.dtype for a in (graph.edge_index, graph.edge_shift, reverse, graph.n_edges)} == {
        np.dtype(np.int64)
    }


@st.composite
def structures(draw: st.DrawFn, n_periodic: int | None = None) -> Structure:
    """Up to five atoms in and outside of a cell with any handedness, angles and periodicity."""
    pbc = (
        np.array(draw(st.permutations([axis < n_periodic for axis in range(3)])))
        if n_periodic is not None
        else (np.array(draw(st.lists(st.booleans(), min_size=3, max_size=3))))
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = rng.uniform(1.0, draw(st.sampled_from([2.0, 4.0, 9.0])), 3)
    cell = lengths[:, None] * np.linalg.qr(rng.normal(size=(3, 3)))[0]
    skew = draw(st.sampled_from([0, 0, 1, 3]))
    cell = (
        np.eye(3)
        + np.triu(rng.integers(-skew, skew + 1, (3, 3)) + rng.uniform(-0.4, 0.4, (3, 3)), 1)
    ) @ cell
    cell = cell[draw(st.permutations([0, 1, 2]))]
    if draw(st.booleans()):
        cell[~pbc] = 0.0
    n_atoms = draw(st.integers(1, 5))
    spread = draw(st.sampled_from([2.0, 5.0, 10.0]))
    return sound(
        rng.integers(1, 10, n_atoms), rng.uniform(-spread, spread, (n_atoms, 3)), cell, pbc
    )


def sound(numbers, positions, cell, pbc) -> Structure:
    try:
        structure = Structure(numbers, positions, cell, pbc)
        build_graph(structure, CUTOFF)
    except InvalidStructure:
        assume(False)
    return structure


@pytest.mark.parametrize("n_periodic", [0, 1, 2, 3])
@settings(max_examples=40)
@given(data=st.data())
def test_any_structure_by_its_number_of_periods(n_periodic, data):
    structure = data.draw(structures(n_periodic))
    check(build_graph(structure, CUTOFF), structure, CUTOFF)


@settings(max_examples=40)
@given(structures(0))
def test_molecules_get_the_same_edges_from_the_cell_list(structure):
    dense = build_graph(structure, CUTOFF)
    listed = neighbors.cell_list_graph(structure, CUTOFF, 10**6)
    check(listed, structure, CUTOFF)
    np.testing.assert_array_equal(listed.n_edges, dense.n_edges)


@settings(max_examples=30)
@given(st.lists(structures(), min_size=1, max_size=12))
def test_a_batch_is_the_union_of_its_structures(batch):
    together, apart = build_graphs(batch, CUTOFF), collate([build_graph(s, CUTOFF) for s in batch])
    for field in fields(together):
        np.testing.assert_array_equal(
            getattr(together, field.name), getattr(apart, field.name), err_msg=field.name
        )
    check_order(together)


@settings(max_examples=40)
@given(structures(), st.integers(0, 2**32 - 1))
def test_atoms_may_be_outside_of_the_cell(structure, seed):
    translations = (
        np.random.default_rng(seed).integers(-40, 41, (len(structure), 3)) * structure.pbc
    )
    moved = replace(structure, positions=structure.positions + translations @ structure.cell)
    before, after = build_graph(structure, CUTOFF), build_graph(moved, CUTOFF)
    unmoved = replace(
        after,
        edge_shift=after.edge_shift
        + translations[after.edge_index[1]]
        - translations[after.edge_index[0]],
    )
    assert edge_set(before) == edge_set(unmoved)


def edge_set(graph: Graph) -> set[tuple[int, ...]]:
    return set(map(tuple, np.concatenate([graph.edge_index, graph.edge_shift.T]).T.tolist()))


def ase_structure(atoms) -> Structure:
    return Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)


@pytest.mark.parametrize(
    ("atoms", "cutoff"),
    [
        (molecule("C6H6"), 5.0),
        (bulk("Si"), 6.0),
        (bulk("Cu", "fcc", a=3.6), 7.5),
        (bulk("Ti", "hcp", a=2.95, c=4.68), 6.0),
        (bulk("NaCl", "rocksalt", a=5.64, cubic=True), 5.0),
        (graphene(vacuum=8.0), 5.0),
    ],
    ids=lambda value: str(getattr(value, "symbols", value)),
)
def test_well_known_structures(atoms, cutoff):
    structure = ase_structure(atoms)
    check(build_graph(structure, cutoff), structure, cutoff)


def test_one_atom_without_images_has_no_pairs():
    graph = build_graph(Structure(np.array([2]), np.zeros((1, 3))), CUTOFF)
    assert (graph.edge_index.shape, graph.edge_shift.shape, graph.edge_reverse.shape) == (
        (2, 0),
        (0, 3),
        (0,),
    )
    np.testing.assert_array_equal(graph.n_edges, [0])


@pytest.mark.parametrize("pbc", list(itertools.product([False, True], repeat=3)))
def test_one_atom_sees_its_own_images(pbc):
    atom = Structure(np.array([2]), np.full((1, 3), 9.9), np.eye(3) * 2.0, np.array(pbc))
    assert len(build_graph(atom, 2.1).edge_reverse) == 2 * sum(pbc)


def test_no_pairs_in_a_wide_box():
    far = Structure(
        np.array([2, 2]), np.array([[0.0, 0, 0], [5e5, 5e5, 5e5]]), np.eye(3) * 1e6, np.True_
    )
    for structure in (far, replace(far, pbc=np.False_)):
        graph = build_graph(structure, CUTOFF)
        assert len(graph.edge_reverse) == 0


def test_slab_of_great_height():
    rng = np.random.default_rng(0)
    positions = np.column_stack([rng.uniform(0, 5, (400, 2)), np.arange(400) * 100.0])
    slab = Structure(
        np.full(400, 6), positions, np.diag([5.0, 5.0, 40_000.0]), np.array([True, True, False])
    )
    graph = build_graph(slab, 5.1)
    np.testing.assert_array_equal(np.bincount(graph.edge_index[0]), 4)


def test_very_skewed_cell():
    cell = np.array([[3.0, 0, 0], [60.0, 3.0, 0], [-39.0, 69.0, 3.0]])
    skewed = Structure(np.array([6, 8]), np.array([[0.0, 0, 0], [1.6, 1.4, 1.5]]), cell, np.True_)
    straight = replace(skewed, cell=np.eye(3) * 3.0)
    actual, expected = build_graph(skewed, 4.0), build_graph(straight, 4.0)

    def vectors(graph):
        rows = np.column_stack([graph.edge_index.T, np.round(graph.edge_vectors(), 6) + 0.0])
        return sorted(map(tuple, rows.tolist()))

    assert vectors(actual) == vectors(expected)
    check_order(actual)


def test_more_atoms_than_one_digit_of_the_sort():
    n = 2**16 + 10
    line = np.column_stack([np.arange(n), np.zeros(n), np.zeros(n)]).astype(float)
    graph = build_graph(Structure(np.full(n, 1), line), 1.5)
    check_order(graph)
    np.testing.assert_array_equal(np.bincount(graph.edge_index[0]), [1, *[2] * (n - 2), 1])


def test_large_molecule_and_padding_of_a_mixed_batch():
    rng = np.random.default_rng(3)
    grid = np.array(list(itertools.product(range(7), repeat=3)), dtype=float) * 1.5
    sizes = [1, 343, 2, 20, 20, 100, 301, 3]
    batch = [Structure(np.full(n, 6), grid[:n] + rng.uniform(-0.2, 0.2, (n, 3))) for n in sizes]
    graph = build_graphs(batch, 2.0)
    np.testing.assert_array_equal(graph.n_atoms, sizes)
    check_order(graph)
    distances = [np.linalg.norm(s.positions[:, None] - s.positions, axis=-1) for s in batch]
    np.testing.assert_array_equal(
        graph.n_edges, [np.count_nonzero(d < 2.0) - len(d) for d in distances]
    )


CLOSE = np.array([[0.0, 0, 0], [0.0, 0, 1.5], [0.0, 0.1, 0.2]])


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (
            Structure(np.array([8, 6, 1]), CLOSE),
            r"atom 0 \(O\) and atom 2 \(H\) are 0.224 Å apart, .* 0.3 Å is needed; move",
        ),
        (
            Structure(np.array([8, 6]), np.zeros((2, 3))),
            r"atom 0 \(O\) and atom 1 \(C\) are 0 Å apart",
        ),
        (
            Structure(
                np.array([8, 6]), np.array([[0.0, 0, 0], [0.0, 0, 4.9]]), np.eye(3) * 5.0, np.True_
            ),
            r"atom 0 \(O\) and the image of atom 1 \(C\) in cell \[0, 0, -1\] are 0.1 Å apart",
        ),
        (
            Structure(
                np.array([8]),
                np.zeros((1, 3)),
                np.array([[3, 0, 0], [3, 0.1, 0], [0, 0, 3.0]]),
                np.True_,
            ),
            r"atom 0 \(O\) and the image of atom 0 \(O\) in cell \[-?1, -?1, 0\] are 0.1 Å apart",
        ),
    ],
    ids=["molecule", "one spot", "image", "lattice"],
)
def test_overlapping_atoms_are_named(structure, message):
    with pytest.raises(InvalidStructure, match=message):
        build_graph(structure, CUTOFF)
    good = Structure(np.array([2, 2]), np.array([[0.0, 0, 0], [2.0, 0, 0]]))
    for batch in ([good, structure, good], [good, good, structure]):
        with pytest.raises(
            InvalidStructure, match=f"structure {batch.index(structure)}: {message}"
        ):
            build_graphs(batch, CUTOFF)


def test_absurd_density_is_refused_before_memory_is_taken():
    positions = np.random.default_rng(0).uniform(0, 10, (30_000, 3))
    boxed = Structure(np.full(30_000, 1), positions, np.eye(3) * 10.0, np.True_)
    for structure in (boxed, replace(boxed, pbc=np.False_)):
        with pytest.raises(
            StructureTooLarge,
            match=r"about \d.\de\+0[89] neighbour pairs within 5 Å; the limit is 10000000",
        ):
            build_graph(structure, 5.0)


def test_many_atoms_at_usual_density_are_not_refused():
    rng = np.random.default_rng(0)
    grid = np.array(list(itertools.product(range(20), repeat=3)), dtype=float) * 2.0
    crystal = Structure(
        np.full(8000, 14), grid + rng.uniform(-0.2, 0.2, grid.shape), np.eye(3) * 40.0, np.True_
    )
    slab = replace(crystal, pbc=np.array([True, True, False]))
    for structure in (crystal, slab):
        graph = build_graph(structure, 4.0, max_edges=300_000)
        assert 200_000 < graph.n_edges[0] < 300_000


@pytest.mark.parametrize("pbc", [False, True])
def test_the_limit_of_edges_is_exact(pbc):
    grid = np.array(list(itertools.product(range(3), repeat=3)), dtype=float) * 2.0
    structure = Structure(np.full(27, 14), grid, np.eye(3) * 6.0, np.array([pbc] * 3))
    n_edges = int(build_graph(structure, 2.5).n_edges[0])
    build_graph(structure, 2.5, max_edges=n_edges)
    with pytest.raises(
        StructureTooLarge,
        match=f"{n_edges} neighbour pairs within 2.5 Å; the limit is {n_edges - 1}",
    ):
        build_graph(structure, 2.5, max_edges=n_edges - 1)
    with pytest.raises(StructureTooLarge, match=f"structure 1: {n_edges} neighbour pairs"):
        build_graphs(
            [Structure(np.array([2]), np.zeros((1, 3))), structure], 2.5, max_edges=n_edges - 1
        )
