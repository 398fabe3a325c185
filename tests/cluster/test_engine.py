"""A replica of the service, in this process and without a cluster."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from app import __version__
from app.atoms.structure import Structure
from app.cluster.engine import Engine, Piece
from app.errors import CorruptModel, StoreError, Unavailable
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered
from app.settings import Settings
from app.store.store import ModelStore

ARGON = Structure(np.array([18, 18]), np.array([[0.0, 0, 0], [0, 0, 3.9]]))
XENON = Structure(np.array([54]), np.zeros((1, 3)))
REQUEST = PredictRequest([Entry("a", ARGON), Entry("b", XENON)])


async def started(store: Path, version: str = __version__) -> Engine:
    """Ray calls the initialiser as a coroutine."""
    engine = Engine.__new__(Engine)
    settings = Settings(
        model_store=store, default_model="pairs", measure=False, cache=None, jobs_folder=None
    )
    await engine.__init__(settings, version)  # type: ignore[misc]
    return engine


def test_a_piece_is_answered_structure_by_structure(pair_store: Path) -> None:
    digest = ModelStore(pair_store).load("pairs").digest

    async def run() -> None:
        engine = await started(pair_store)
        opened = await engine.opened("pairs@2")
        assert not isinstance(opened, Exception)
        assert (opened.card.reference, opened.digest) == ("pairs@2", digest)
        first, second = await engine.answer(Piece("pairs@2", digest, REQUEST))
        assert isinstance(first, Answered)
        assert first.prediction.forces.shape == (2, 3)
        assert "Xe" in str(second)

    asyncio.run(run())


def test_another_version_of_equipot_does_not_start(pair_store: Path) -> None:
    with pytest.raises(Unavailable, match=r"the service is of equipot 9\.9\.9; install the same"):
        asyncio.run(started(pair_store, "9.9.9"))


def test_another_version_of_a_model_is_refused(pair_store: Path) -> None:
    """Each structure has the error, which names both digests."""

    async def run() -> None:
        engine = await started(pair_store)
        results = await engine.answer(Piece("pairs@2", "d" * 64, REQUEST))
        assert len(results) == 2
        for result in results:
            assert isinstance(result, CorruptModel)
            assert "than the service (dddddddddddd)" in str(result)

    asyncio.run(run())


def test_a_model_that_this_machine_lacks_is_an_answer(pair_store: Path) -> None:
    """Which the door tells, where an exception would be the end of the replica."""

    async def run() -> None:
        engine = await started(pair_store)
        assert isinstance(await engine.opened("other@1"), StoreError)
        (result, _) = await engine.answer(Piece("other@1", "d" * 64, REQUEST))
        assert isinstance(result, StoreError)

    asyncio.run(run())
