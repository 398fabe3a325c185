"""Bits that do not depend on the batch, where asked for; else the tolerance of the card."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.atoms.graph import Graph, collate
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction, split
from app.backends import Backend, load_backend
from app.store.store import ModelStore
from app.training.export.synthetic import box, cluster
from tests.paths import MODEL_STORE

STORE = ModelStore(MODEL_STORE)


@cache
def backend(name: str, threads: int, deterministic: bool) -> Backend:
    return load_backend(STORE.load(name), threads=threads, deterministic=deterministic)


@cache
def candidates(name: str) -> list[Graph]:
    """Molecules and crystals with from no edges to more than one portion holds."""
    card = STORE.load(name).card
    sizes = (1, 2, 5, 9, 13, 21, 30)
    structures = [cluster(card.elements, n, seed=n) for n in sizes] + [
        box(card.elements, n, seed=n) for n in (8, 90)
    ]
    return [build_graph(structure, card.cutoff) for structure in structures]


@cache
def alone(name: str, index: int, deterministic: bool) -> StructurePrediction:
    graph = candidates(name)[index]
    return split(backend(name, 1, deterministic)(graph), graph)[0]


def in_batch(
    name: str, indices: list[int], threads: int, deterministic: bool
) -> list[StructurePrediction]:
    batch = collate([candidates(name)[index] for index in indices])
    return split(backend(name, threads, deterministic)(batch), batch)


def bits(prediction: StructurePrediction) -> tuple[bytes, ...]:
    parts = (prediction.energy, prediction.forces, prediction.energies, prediction.stress)
    return tuple(np.asarray(part, dtype=np.float64).tobytes() for part in parts if part is not None)


batches = st.lists(st.integers(0, 8), min_size=1, max_size=12)


@pytest.mark.parametrize("name", ["organic-xtb", "lennard-jones"])
@settings(max_examples=25)
@given(batches, st.sampled_from([1, 2, 3]))
def test_the_same_bits_in_any_batch_on_any_number_of_threads(
    name: str, indices: list[int], threads: int
) -> None:
    for index, actual in zip(indices, in_batch(name, indices, threads, True), strict=True):
        assert bits(actual) == bits(alone(name, index, True))


@settings(max_examples=25)
@given(batches)
def test_otherwise_the_tolerance_of_the_card(indices: list[int]) -> None:
    certificate = STORE.load("organic-xtb").card.certificate
    assert certificate is not None
    allowed = certificate.tolerance
    for index, actual in zip(indices, in_batch("organic-xtb", indices, 1, False), strict=True):
        wanted = alone("organic-xtb", index, False)
        assert abs(actual.energy - wanted.energy) <= allowed.energy_per_atom * len(wanted.energies)
        np.testing.assert_allclose(actual.forces, wanted.forces, rtol=0, atol=allowed.forces)
        if wanted.stress is not None and actual.stress is not None:
            np.testing.assert_allclose(actual.stress, wanted.stress, rtol=0, atol=allowed.stress)
