"""Regions, each cut and evaluated by itself, add up to the structure, for any number of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.atoms.decomposition import Assembly, Cutter
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction, split
from app.atoms.regions import Region, divide, reach_of
from app.atoms.structure import Structure
from app.backends.pair import PairBackend
from app.errors import AtomsTooClose
from app.store.card import ModelCard
from tests.contracts import assert_same
from tests.structures import BULK, SLAB, WIRE, random_crystal
from tests.tolerances import TOLERANCES

OPEN = np.zeros(3, dtype=bool)


def parted(structure: Structure, card: ModelCard, count: int) -> list[Region]:
    return list(
        divide(
            Region.of(structure), count, card.cutoff, reach_of(card.cutoff, card.cutoff, True, True)
        )
    )


def evaluated(region: Region, card: ModelCard, most: int) -> StructurePrediction:
    """As a worker does it, from the region alone."""
    backend = PairBackend(card)
    cut = Cutter(region, card.cutoff, card.cutoff, True, most, 10**6, lambda _: True)
    whole = Assembly(len(region.cluster), True)
    for piece in iter(cut.next, None):
        whole.add(piece, split(backend(piece.graph), piece.graph)[0])
    return whole.prediction()


@settings(max_examples=40)
@given(
    st.tuples(*[st.integers(1, 5)] * 3),
    st.sampled_from([BULK, SLAB, WIRE, OPEN]),
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(0, 10**6),
)
def test_regions_add_up_to_the_structure(
    pair_card: ModelCard,
    shape: tuple[int, int, int],
    pbc: np.ndarray,
    count: int,
    most: int,
    seed: int,
) -> None:
    structure = random_crystal(pair_card, shape, seed=seed, pbc=pbc)
    regions = parted(structure, pair_card, count)
    assert len(regions) == min(count, len(structure))
    cores = np.concatenate([region.atoms[: region.core] for region in regions])
    np.testing.assert_array_equal(np.sort(cores), np.arange(len(structure)))
    whole = Assembly(len(structure), True)
    for region in regions:
        whole.add(region, evaluated(region, pair_card, most))
    graph = build_graph(structure, pair_card.cutoff)
    (expected,) = split(PairBackend(pair_card)(graph), graph)
    assert_same(whole.prediction(), expected, TOLERANCES[pair_card.dtype])


def test_a_region_is_divided_again(pair_card: ModelCard) -> None:
    structure = random_crystal(pair_card, (5, 4, 4), seed=1)
    whole = Assembly(len(structure), True)
    for region in parted(structure, pair_card, 2):
        for smaller in divide(region, 3, pair_card.cutoff, pair_card.cutoff + 1e-6):
            whole.add(smaller, evaluated(smaller, pair_card, 10))
    graph = build_graph(structure, pair_card.cutoff)
    (expected,) = split(PairBackend(pair_card)(graph), graph)
    assert_same(whole.prediction(), expected, TOLERANCES[pair_card.dtype])


def test_edges_are_balanced(pair_card: ModelCard) -> None:
    """Of a slab in vacuum of which one half has every other atom missing."""
    structure = random_crystal(pair_card, (12, 8, 8), seed=3, pbc=SLAB)
    along = structure.positions @ np.linalg.pinv(structure.cell)[:, 0] % 1.0
    kept = (along < 0.5) | (np.arange(len(structure)) % 2 == 0)
    half = replace(structure, numbers=structure.numbers[kept], positions=structure.positions[kept])
    degree = np.bincount(build_graph(half, pair_card.cutoff).edge_index[0], minlength=len(half))
    shares = [degree[r.atoms[: r.core]].sum() for r in parted(half, pair_card, 4)]
    assert max(shares) < 1.15 * np.mean(shares)


def test_atoms_that_are_too_close_are_named_as_in_the_structure(pair_card: ModelCard) -> None:
    structure = random_crystal(pair_card, (6, 4, 4), seed=5)
    positions = structure.positions.copy()
    positions[57] = positions[11] + [0.0, 0.1, 0.0]
    close = replace(structure, positions=positions)
    with pytest.raises(AtomsTooClose, match=r"atom 11 .*atom 57|atom 57 .*atom 11"):
        [evaluated(region, pair_card, 20) for region in parted(close, pair_card, 3)]
