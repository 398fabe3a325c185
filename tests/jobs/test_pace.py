"""What jobs took is what the next ones are told."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from app.atoms.structure import Structure
from app.engine.limits import BatchLimits
from app.engine.load import load_potential
from app.engine.potential import PotentialOptions
from app.errors import InvalidStructure
from app.jobs.estimate import estimate
from app.jobs.pace import ENOUGH, MEMORY, Pace, Paces
from app.protocol.request import Entry, PredictRequest
from app.relax import RelaxOptions
from app.store.store import ModelStore
from tests.jobs.stores import Scene

DIMER = Structure(np.array([18, 18]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3.9]]))


def test_what_some_took_is_known_once_they_are_enough(scene: Scene) -> None:
    paces = Paces(scene.database)
    paces.learn("d", False, Pace(ENOUGH - 1, ENOUGH - 1, 1000, 2.0))
    assert paces.known("d", False) is None
    paces.learn("d", False, Pace(2, 2, 1000, 2.0))
    known = paces.known("d", False)
    assert known is not None
    assert known.seconds / known.work == pytest.approx(0.002, rel=1e-3)
    assert paces.known("d", True) is None
    assert paces.known("other", False) is None
    paces.learn("d", False, Pace())


def test_what_was_before_fades(scene: Scene) -> None:
    paces = Paces(scene.database)
    paces.learn("d", True, Pace(MEMORY, MEMORY, MEMORY, 1.0))
    paces.learn("d", True, Pace(MEMORY, MEMORY, MEMORY, 4.0))
    known = paces.known("d", True)
    assert known is not None
    assert known.seconds / known.work == pytest.approx(3.0 / MEMORY)


def test_of_an_error_nothing_is_learned() -> None:
    error = InvalidStructure("none")
    assert Pace.of(Entry(None, error), error) == Pace()


def told(request: PredictRequest, pace: Pace | None, store: Path) -> tuple[object, ...]:
    async def main() -> tuple[object, ...]:
        options = PotentialOptions(batch=BatchLimits(1000, 10**6, 64))
        potential = load_potential(ModelStore(store).load("pairs@2"), options)
        return tuple(await estimate(potential, request, 1000, pace, None))

    return asyncio.run(main())


def test_an_estimate_is_told_from_the_pace(pair_store: Path) -> None:
    request = PredictRequest([Entry(None, DIMER)])
    seconds, most, assumes = told(request, Pace(500, 500, 5000, 10.0), pair_store)
    assert seconds == most == pytest.approx(1000 * 2 * 10 / 5000)
    assert "the last 500 structures of jobs" in str(assumes)
    relaxing = PredictRequest([Entry(None, DIMER)], relax=RelaxOptions(steps=100))
    seconds, most, assumes = told(relaxing, Pace(500, 5500, 5000, 10.0), pair_store)
    assert seconds == pytest.approx(11 * 1000 * 2 * 10 / 5000)
    assert most == pytest.approx(101 * 1000 * 2 * 10 / 5000)
    assert "10 steps of a relaxation" in str(assumes)
    assert told(request, None, pair_store) == (None, None, None)
