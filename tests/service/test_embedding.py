"""Geometries for the SMILES of requests: turns, limits, and who leaves."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any, TypeVar

import pytest

from app.atoms.structure import Structure
from app.errors import InvalidRequest, StructureTooLarge
from app.formats.notation import Smiles
from app.formats.smiles import Embedder
from app.protocol.request import Entry, RequestLimits
from app.service.embedding import SLOW_PROCESSES, Embedding, Lane

pytest.importorskip("rdkit", reason="RDKit is not installed")
LIMITS = RequestLimits(structures=100, atoms=1000, relax_steps=1)
ENDLESS = "C1CC1" * 330
"""What RDKit would take many seconds for."""
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def embedding(atoms: int = 1000, seconds: float = 60.0) -> Embedding:
    limits = RequestLimits(LIMITS.structures, atoms, LIMITS.relax_steps)
    return Embedding(limits, 10_000, seconds)


def test_others_keep_their_place() -> None:
    entries = [
        Entry("a", Smiles("CO", 2), item=0),
        Entry("b", InvalidRequest("bad")),
        Entry(None, Smiles("C"), {"note": "kept"}),
    ]
    with closing(embedding()) as made:
        drawn = run(made.drawn(entries))
    assert [entry.id for entry in drawn] == ["a:0", "a:1", "b", "C"]
    assert [entry.item for entry in drawn] == [0, 0, None, None]
    assert drawn[1].info == {"smiles": "CO", "conformer": 1, "seed": 1}
    assert drawn[3].info["note"] == "kept"
    assert len(drawn[3].topology.bonds) == 4


def test_atoms_of_all_together_have_a_limit() -> None:
    with closing(embedding(atoms=11)) as made, pytest.raises(StructureTooLarge, match="12 atoms"):
        run(made.drawn([Entry(None, Smiles("CO", 2))]))


def test_what_takes_too_long_fails_alone() -> None:
    with closing(embedding(seconds=1.0)) as made:
        endless, next_one = run(made.drawn([Entry("x", Smiles(ENDLESS)), Entry("y", Smiles("C"))]))
    assert isinstance(endless.structure, StructureTooLarge)
    assert "embed_seconds" in str(endless.structure)
    assert isinstance(next_one.structure, Structure)


def test_what_is_much_work_comes_after_the_others_and_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lanes, ask = list[Lane](), Lane.run

    async def told(lane: Lane, work: Callable[[Embedder, float], T]) -> T:
        lanes.append(lane)
        return await ask(lane, work)

    monkeypatch.setattr(Lane, "run", told)
    work = [Entry("x", Smiles("C" * 40)), Entry("y", Smiles("C"))]
    with closing(embedding()) as made:
        assert [entry.n_atoms for entry in run(made.drawn(work))] == [122, 5]
    first, second, third = lanes
    assert first is second is not third


def test_who_leaves_is_made_nothing_and_the_next_ones_turn_comes() -> None:
    async def leave_and_ask() -> list[Entry]:
        work = [ENDLESS] * SLOW_PROCESSES + ["C" * 35]
        *endless, asking = [
            asyncio.ensure_future(made.drawn([Entry("x", Smiles(text))])) for text in work
        ]
        done, _ = await asyncio.wait([*endless, asking], timeout=0.5)
        assert not done  # the last one waits for its turn
        for each in endless:
            each.cancel()
        return await asking

    with closing(embedding()) as made:
        run(made.drawn([Entry("first", Smiles("C"))]))
        (entry,) = run(leave_and_ask())
    assert isinstance(entry.structure, Structure)


def test_the_loop_goes_on_meanwhile() -> None:
    async def count() -> int:
        work = asyncio.ensure_future(made.drawn([Entry("x", Smiles(ENDLESS))]))
        turns = 0
        while not work.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    with closing(embedding(seconds=0.5)) as made:
        assert run(count()) > 1000
