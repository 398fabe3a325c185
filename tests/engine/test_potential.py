import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.engine.admission import QueueLimits
from app.engine.limits import BatchLimits
from app.engine.load import load_potential
from app.engine.potential import Potential, PotentialOptions
from app.errors import (
    EquipotError,
    Overloaded,
    StructureTooLarge,
    Unavailable,
    UnsupportedCharge,
    UnsupportedElement,
)
from app.store.store import ModelStore
from tests.engine.scenes import entered, outcome_of, play
from tests.engine.scripted import Scripted, dimer


def open_potential(store: Path) -> Potential:
    batch, queue = BatchLimits(1000, 10**6, 64), QueueLimits(100, 10_000)
    options = PotentialOptions(batch=batch, queue=queue, max_atoms=50, max_edges=300)
    return load_potential(ModelStore(store).load("pairs@2"), options)


def played(store: Path, scene: Callable[[Potential], Awaitable[object]]) -> object:
    async def main() -> object:
        potential = open_potential(store)
        potential.start()
        try:
            return await scene(potential)
        finally:
            await potential.stop()

    return asyncio.run(main())


def argon(atoms: int, spacing: float = 3.8) -> Structure:
    return Structure(
        np.full(atoms, 18), spacing * np.stack([np.arange(atoms)] + [np.zeros(atoms)] * 2, axis=1)
    )


def test_predicts(pair_store: Path) -> None:
    async def scene(potential: Potential) -> object:
        assert potential.reference == "pairs@2"
        with potential.admission.admit(2, 4):
            return await asyncio.gather(potential.predict(argon(2)), potential.predict(argon(3)))

    two, three = played(pair_store, scene)  # type: ignore[misc]
    assert two.forces.shape == (2, 3)
    assert three.energies.sum() == pytest.approx(three.energy)


@pytest.mark.parametrize(
    ("structure", "error"),
    [
        (Structure(np.array([54]), np.zeros((1, 3))), UnsupportedElement),
        (Structure(np.array([18]), np.zeros((1, 3)), charge=1), UnsupportedCharge),
        (argon(51), StructureTooLarge),
        (argon(40, spacing=0.5), StructureTooLarge),
    ],
    ids=["element", "charge", "atoms", "edges"],
)
def test_refuses(pair_store: Path, structure: Structure, error: type[EquipotError]) -> None:
    async def scene(potential: Potential) -> None:
        with potential.admission.admit(1, 1), pytest.raises(error):
            await potential.predict(structure)

    played(pair_store, scene)


def test_warm_up_works_for_any_card(pair_store: Path) -> None:
    open_potential(pair_store).warm_up()


def test_stopped_is_unavailable(pair_store: Path) -> None:
    async def main() -> None:
        potential = open_potential(pair_store)
        potential.start()
        await potential.stop()
        with pytest.raises(Unavailable), potential.admission.admit(1, 1):
            pass

    asyncio.run(main())


def test_a_full_queue_says_when_to_come_back(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        backend.gate.clear()
        inside = [asyncio.create_task(outcome_of(potential, dimer(4.0))) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await outcome_of(potential, dimer(4.0))
        assert isinstance(refused, Overloaded)
        assert refused.retry_after >= 1
        backend.gate.set()
        assert not any(isinstance(o, EquipotError) for o in await asyncio.gather(*inside))
        assert isinstance(await outcome_of(potential, dimer(4.0)), StructurePrediction)

    play(backend, scene, QueueLimits(structures=2, atoms=1000))


def test_the_largest_request_enters_an_empty_queue(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        assert isinstance(await outcome_of(potential, dimer(4.0)), StructurePrediction)

    play(backend, scene, QueueLimits(structures=1, atoms=1))


def test_stop_finishes_what_was_admitted(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        backend.gate.clear()
        inside = asyncio.create_task(outcome_of(potential, dimer(4.0)))
        await entered(backend)
        stopping = asyncio.create_task(potential.stop())
        await asyncio.sleep(0)
        assert isinstance(await outcome_of(potential, dimer(4.0)), Unavailable)
        assert not stopping.done()
        backend.gate.set()
        await stopping
        assert isinstance(await inside, StructurePrediction)

    play(backend, scene)
