"""What jobs took is what the next ones are told."""

import asyncio
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.atoms.structure import Structure
from app.engine.limits import BatchLimits
from app.engine.load import load_potential
from app.engine.potential import PotentialOptions
from app.errors import InvalidStructure
from app.formats.notation import Smiles
from app.jobs.estimate import Estimated, estimate
from app.jobs.pace import ENOUGH, MEMORY, Pace, Paces
from app.jobs.sample import with_geometries
from app.protocol.request import Entry, PredictRequest, RequestLimits
from app.relax import RelaxOptions
from app.service.embedding import Embedding
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


def test_of_smiles_some_geometries_are_made_for_the_estimate() -> None:
    pytest.importorskip("rdkit", reason="RDKit is not installed")
    smiles = [Entry(None, Smiles("CO", 3)), Entry(None, Smiles("C")), Entry(None, Smiles("CC("))]
    with closing(Embedding(RequestLimits(10, 100, 1), 100, 60.0)) as embedding:
        work = with_geometries(embedding, PredictRequest([*smiles, Entry(None, DIMER)]))
        sample = asyncio.run(work)
    atoms = [len(structure) for structure in sample.request.structures]
    assert sample.times == 6 / 4  # three of methanol, one for each of the other three entries
    assert len(atoms) == 6
    assert set(atoms) == {2, 5, 6}
    assert sample.seconds > 0
    before = Estimated(2.0, 9.0, "x").after(1.5)
    assert before == (3.5, 10.5, "x; 1.5 s before that for geometries of SMILES, as of some")
    assert Estimated(None, None, None).after(1.5) == (None, None, None)
