"""Answers in order, with few of them under way."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import numpy as np
import pytest

from app.atoms.structure import Structure
from app.cli.predict.entries import Read
from app.cli.predict.flight import BEHIND, Flight
from app.engine.budget import Budget
from app.engine.limits import FALLBACK
from app.errors import EquipotError, InvalidStructure
from app.protocol.request import Entry
from app.protocol.response import Result
from app.service.load import Load


def reads(count: int, atoms: int = 1) -> Iterator[Read]:
    positions = 3.0 * np.arange(3 * atoms).reshape(-1, 3)
    for i in range(count):
        structure = Structure(np.full(atoms, 18), positions)
        yield Read(Entry(str(i), structure), (i + 1) / count)


def named(entry: Entry) -> EquipotError:
    return InvalidStructure(str(entry.id))


async def ids(flight: Flight) -> list[str]:
    found = []
    async for finished in flight.results():
        found += [(each.read.entry.id, str(each.result)) for each in finished]
    assert all(one == other for one, other in found)
    return [one for one, _ in found]


class Gate:
    """Answers when it is told to, and knows how many wait."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Event] = {}
        self.most = 0

    async def __call__(self, entry: Entry) -> Result:
        assert entry.id is not None
        self.waiting[entry.id] = asyncio.Event()
        self.most = max(self.most, len(self.waiting))
        await self.waiting[entry.id].wait()
        del self.waiting[entry.id]
        return named(entry)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))


async def turns() -> None:
    """Let everything happen that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_the_order_is_that_of_the_input() -> None:
    random = np.random.default_rng(0)

    async def answer(entry: Entry) -> Result:
        for _ in range(random.integers(5)):
            await asyncio.sleep(0)
        return named(entry)

    async def work() -> None:
        flight = Flight(reads(200), answer, Load(7, 1000))
        assert await ids(flight) == [str(i) for i in range(200)]

    run(work)


@pytest.mark.parametrize(("window", "atoms", "most"), [((4, 1000), 1, 4), ((100, 6), 2, 3)])
def test_few_are_under_way_and_one_that_lasts_holds_up_a_bounded_number(
    window: tuple[int, int], atoms: int, most: int
) -> None:
    async def work() -> None:
        gate = Gate()
        flight = Flight(reads(1000, atoms), gate, Load(*window))
        first = asyncio.ensure_future(ids(flight))
        await turns()
        answered = 0
        while others := [name for name in gate.waiting if name != "0"]:
            answered += len(others)
            for name in others:
                gate.waiting[name].set()
            await turns()
        assert gate.most == most
        assert answered == BEHIND * most - 1
        flight.stop()
        assert await first == []

    run(work)


def test_whatever_is_larger_than_the_window_goes_alone() -> None:
    async def work() -> None:
        gate = Gate()
        answers = asyncio.ensure_future(ids(Flight(reads(3, atoms=50), gate, Load(10, 10))))
        for _ in range(3):
            await turns()
            assert len(gate.waiting) == 1
            next(iter(gate.waiting.values())).set()
        assert await answers == ["0", "1", "2"]

    run(work)


def test_a_flight_that_is_stopped_gives_back_what_has_ended_in_order() -> None:
    async def work() -> None:
        gate = Gate()
        flight = Flight(reads(10), gate, Load(4, 100))
        answers = asyncio.ensure_future(ids(flight))
        await turns()
        for name in ("0", "1", "3"):
            gate.waiting[name].set()
        await turns()
        flight.stop()
        assert await answers == ["0", "1"]
        await turns()
        assert flight.under_way == 0

    run(work)


def test_relaxations_take_less_of_a_batch_than_single_points() -> None:
    budget = Budget(atoms=1000, edges=50_000, structures=20, source="measured")
    assert Load.window(budget, relaxes=False, on_cpu=True) == Load(60, 3000)
    assert Load.window(budget, relaxes=True, on_cpu=True) == Load(20, 1000)
    assert Load.window(FALLBACK, relaxes=True, on_cpu=True) == Load(16, 1024)
    assert Load.window(FALLBACK, relaxes=True, on_cpu=False) == Load(64, 4096)
