"""Structures that go whole, and in pieces."""

import asyncio

import numpy as np
import pytest

from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.engine.budget import Budget
from app.engine.potential import Potential
from app.errors import (
    InvalidStructure,
    OutOfMemory,
    StructureTooLarge,
)
from tests.engine.scenes import alone, assert_same, entered, grid, outcome_of, play, queued
from tests.engine.scripted import Scripted, dimer


def test_a_large_structure_has_its_energies_alone_in_pieces(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        potential.workers.budget = Budget(atoms=25, edges=100_000, structures=8)
        actual = await outcome_of(potential, grid(4), derivatives=False)
        assert isinstance(actual, StructurePrediction)
        assert actual.energy == pytest.approx(alone(backend, grid(4)).energy, rel=1e-12)
        assert actual.forces is None
        assert (backend.sizes, backend.sizes_alone) == ([], [1, 1, 1, 1])

    play(backend, scene)


def test_a_large_structure_goes_in_pieces_and_small_ones_between_them(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        potential.workers.budget = Budget(atoms=25, edges=100_000, structures=8)
        backend.gate.clear()
        large = asyncio.create_task(outcome_of(potential, grid(4)))
        await entered(backend)
        small = [asyncio.create_task(outcome_of(potential, dimer(4.0 + 0.1 * i))) for i in range(5)]
        await queued(potential, 5)
        backend.gate.set()
        await asyncio.gather(*small)
        actual = await large
        assert backend.sizes == [1, 5, 1, 1, 1], (
            "four pieces of 16 atoms, and one batch of the molecules"
        )
        assert_same(actual, alone(backend, grid(4)))

    play(backend, scene)


def test_more_edges_than_allowed_end_it(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        potential.workers.budget = Budget(atoms=25, edges=100_000, structures=8)
        assert isinstance(await outcome_of(potential, grid(10)), StructureTooLarge)

    play(backend, scene)


@pytest.mark.parametrize("local", [True, False], ids=["local", "message passing"])
def test_one_structure_beyond_the_memory_goes_in_pieces(backend: Scripted, local: bool) -> None:
    backend.is_strictly_local = local

    async def scene(potential: Potential) -> None:
        backend.memory = 30
        chain = Structure(np.full(40, 18), np.outer(np.arange(40), [0.0, 0.0, 3.8]))
        actual = await outcome_of(potential, chain)
        assert backend.sizes[0] == 1
        assert len(backend.sizes) > 2
        assert_same(actual, alone(backend, chain))

    play(backend, scene)


def test_an_atom_beyond_the_memory_is_an_error_of_its_own(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        backend.memory = 2
        outcomes = await asyncio.gather(
            outcome_of(potential, grid(2)), outcome_of(potential, dimer(4.0))
        )
        assert isinstance(outcomes[0], OutOfMemory)
        assert isinstance(outcomes[1], StructurePrediction)

    play(backend, scene)


def test_a_bad_structure_fails_before_the_queue(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        assert isinstance(await outcome_of(potential, dimer(0.01)), InvalidStructure)
        assert backend.sizes == []

    play(backend, scene)


def test_large_structures_are_built_in_another_thread(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        assert isinstance(await outcome_of(potential, grid(6)), StructurePrediction)

    play(backend, scene)
