"""What happens to structures that a potential on a scripted backend is asked for."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction, split
from app.atoms.structure import Structure
from app.backends.pair import PairBackend
from app.engine.admission import QueueLimits
from app.engine.budget import Budget
from app.engine.observer import Observer
from app.engine.potential import Potential, PotentialOptions
from app.errors import EquipotError
from tests.engine.scripted import Scripted

AMPLE = QueueLimits(1000, 10_000)
BUDGET = Budget(atoms=1000, edges=100_000, structures=8)


async def outcome_of(
    potential: Potential, structure: Structure, derivatives: bool = True
) -> StructurePrediction | EquipotError:
    try:
        with potential.admission.admit(1, len(structure)):
            return await potential.predict(structure, derivatives)
    except EquipotError as error:
        return error


def grid(side: int) -> Structure:
    sites = 3.8 * np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3)
    return Structure(np.full(len(sites), 18), sites)


def alone(backend: Scripted, structure: Structure) -> StructurePrediction:
    graph = build_graph(structure, backend.card.cutoff)
    return split(PairBackend(backend.card)(graph), graph)[0]


def assert_same(actual: StructurePrediction | EquipotError, expected: StructurePrediction) -> None:
    assert isinstance(actual, StructurePrediction)
    assert actual.energy == pytest.approx(expected.energy, rel=1e-12)
    np.testing.assert_allclose(actual.forces, expected.forces, rtol=0, atol=1e-12)


async def entered(backend: Scripted) -> None:
    assert await asyncio.to_thread(backend.entered.wait, 60)


async def queued(potential: Potential, tasks: int) -> None:
    """Until so many wait for their batch, of those that have a graph."""
    while potential.workers.depth < tasks:
        await asyncio.sleep(0)
    await asyncio.sleep(0)  # the last ones are shown to the threads


def play(
    backend: Scripted,
    scene: Callable[[Potential], Awaitable[None]],
    queue: QueueLimits = AMPLE,
    observer: Observer | None = None,
    in_flight: int = 1,
) -> None:
    """Let a scene happen with a potential on the backend, and end it."""

    async def main() -> None:
        options = PotentialOptions(queue=queue, max_edges=10_000, in_flight=in_flight)
        potential = Potential(backend, "", BUDGET, options, observer)
        potential.start()
        try:
            await scene(potential)
        finally:
            backend.gate.set()
            await potential.stop()

    asyncio.run(main())
