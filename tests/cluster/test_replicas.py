"""What is asked of replicas, and what becomes of it where they end, without a cluster."""

import asyncio
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.cluster.engine import Opened, Piece
from app.cluster.replicas import ALONE, HOPELESS, SMALLEST, WAITING, Replicas
from app.engine.limits import BatchLimits
from app.engine.potential import PotentialOptions
from app.errors import BackendError, CorruptModel, EquipotError
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered, Result
from app.store.card import ModelCard


class Ended(Exception):
    """A replica has ended in the middle of a call."""


class Scripted:
    """Answers pieces when it is told to; pieces that hold certain structures end it."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self.pieces: list[list[str]] = []
        self.poison: Callable[[list[str]], bool] = lambda _: False
        self.gate = asyncio.Event()
        self.gate.set()

    async def opened(self, reference: str) -> Opened | EquipotError:
        if reference != self._card.reference:
            return CorruptModel("no such one")
        budget = BatchLimits().budget(None)
        return Opened(self._card, "d" * 64, "scripted", budget, "here", 1)

    async def answer(self, piece: Piece) -> list[Result]:
        ids = [entry.id for entry in piece.request.entries]
        self.pieces.append(ids)
        await self.gate.wait()
        if self.poison(ids):
            raise Ended
        return [Answered(StructurePrediction(float(name), None, None, None)) for name in ids]


def request(*numbers: int, caller: object = None) -> PredictRequest:
    argon = Structure(np.array([18]), np.zeros((1, 3)))
    return PredictRequest([Entry(str(number), argon) for number in numbers], caller=caller)


async def answers(replicas: Replicas, asked: PredictRequest, card: ModelCard) -> list[object]:
    """Energies, or errors."""
    potential = await replicas.opened(card.reference, PotentialOptions())
    each = [replicas.answered(potential, entry, asked) for entry in asked.entries]
    results = await asyncio.gather(*each, return_exceptions=True)
    return [r.prediction.energy if isinstance(r, Answered) else r for r in results]


def test_a_piece_goes_to_another_replica_where_one_ends(pair_card: ModelCard) -> None:
    """Twice as a whole, then each alone; what ends each replica gets an error, others answers."""

    async def run() -> tuple[Scripted, list[object]]:
        scripted = Scripted(pair_card)
        scripted.poison = lambda ids: "3" in ids
        replicas = Replicas(scripted, 1, (Ended,))
        return scripted, await answers(replicas, request(*range(6)), pair_card)

    scripted, given = asyncio.run(run())
    assert [given[i] for i in (0, 1, 2, 4, 5)] == [0.0, 1.0, 2.0, 4.0, 5.0]
    assert isinstance(given[3], BackendError)
    counted = Counter(len(ids) for ids in scripted.pieces)
    assert counted == {6: ALONE, 1: 5 + HOPELESS}


def test_bulk_goes_in_large_pieces_and_leaves_others_their_turn(pair_card: ModelCard) -> None:
    async def run() -> tuple[Scripted, Replicas]:
        scripted = Scripted(pair_card)
        scripted.gate.clear()
        replicas = Replicas(scripted, 2, (Ended,))
        bulk = asyncio.ensure_future(answers(replicas, request(*range(2000)), pair_card))
        while len(scripted.pieces) < 2 * WAITING:
            await asyncio.sleep(0)
        assert min(map(len, scripted.pieces)) >= SMALLEST
        single = asyncio.ensure_future(answers(replicas, request(9999, caller="me"), pair_card))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(scripted.pieces) == 2 * WAITING
        scripted.gate.set()
        assert await single == [9999.0]
        assert await bulk == list(map(float, range(2000)))
        return scripted, replicas

    scripted, _ = asyncio.run(run())
    assert "9999" in scripted.pieces[2 * WAITING][:2]
    assert sum(map(len, scripted.pieces)) == 2001


def test_who_has_left_is_not_answered(pair_card: ModelCard) -> None:
    async def run() -> Scripted:
        scripted = Scripted(pair_card)
        replicas = Replicas(scripted, 1, (Ended,))
        left = asyncio.ensure_future(answers(replicas, request(1, 2), pair_card))
        for _ in range(3):
            await asyncio.sleep(0)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        await asyncio.sleep(0)
        return scripted

    assert sum(map(len, asyncio.run(run()).pieces)) <= 2


def test_a_model_that_replicas_refuse_is_refused(pair_card: ModelCard) -> None:
    async def run() -> None:
        await Replicas(Scripted(pair_card), 3, (Ended,)).opened("other@1", PotentialOptions())

    with pytest.raises(CorruptModel, match="no such one"):
        asyncio.run(run())


def test_its_budget_is_that_of_all(pair_card: ModelCard) -> None:
    async def run() -> None:
        scripted = Scripted(pair_card)
        told = await scripted.opened(pair_card.reference)
        replicas = Replicas(scripted, 3, (Ended,))
        potential = await replicas.opened(pair_card.reference, PotentialOptions())
        assert potential.workers.budget.structures == 3 * told.budget.structures
        assert potential.runs_on == "scripted"
        assert potential.depth == 0

    asyncio.run(run())
