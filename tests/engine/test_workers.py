"""What the threads of a model evaluate together, and what nobody loses."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.atoms.prediction import StructurePrediction
from app.engine.budget import Budget
from app.engine.observer import NullObserver
from app.engine.potential import Potential
from app.engine.scheduler import Lanes
from app.engine.task import Task
from app.errors import BackendError
from tests.engine.scenes import alone, assert_same, entered, outcome_of, play, queued
from tests.engine.scripted import Scripted, dimer


def test_what_waits_becomes_the_next_batch(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        backend.gate.clear()
        first = asyncio.create_task(outcome_of(potential, dimer(4.0)))
        await entered(backend)
        others = [
            asyncio.create_task(outcome_of(potential, dimer(4.0 + 0.1 * i))) for i in range(5)
        ]
        await queued(potential, 5)
        assert potential.workers.depth == 5
        backend.gate.set()
        results = await asyncio.gather(first, *others)
        assert backend.sizes == [1, 5]
        alone = [await outcome_of(potential, dimer(4.0 + 0.1 * i)) for i in range(5)]
        assert [r.energy for r in results[1:]] == [a.energy for a in alone]

    play(backend, scene)


def test_a_second_batch_goes_while_the_first_is_evaluated(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        potential.workers.budget = Budget(atoms=4, edges=100, structures=8)
        both = threading.Barrier(2, timeout=60)
        backend.raise_for = lambda _: both.wait() < 0
        results = await asyncio.gather(
            *(outcome_of(potential, dimer(4.0 + 0.1 * i)) for i in range(4))
        )
        for i, result in enumerate(results):
            assert_same(result, alone(backend, dimer(4.0 + 0.1 * i)))
        assert backend.sizes == [2, 2]

    play(backend, scene, in_flight=2)


def test_work_for_idle_times_waits_until_no_batch_is_in_flight_and_none_begins_meanwhile(
    backend: Scripted,
) -> None:
    async def scene(potential: Potential) -> None:
        events: list[str] = []
        stepping, go = threading.Event(), threading.Event()

        def steps() -> Iterator[Budget | None]:
            events.append("step")
            stepping.set()
            assert go.wait(60)
            yield None

        backend.gate.clear()
        backend.raise_for = lambda _: bool(events.append("batch"))
        first = asyncio.create_task(outcome_of(potential, dimer(4.0)))
        await entered(backend)
        potential.workers.when_idle(steps())
        await asyncio.sleep(0.05)
        assert events == []
        backend.gate.set()
        await first
        assert await asyncio.to_thread(stepping.wait, 60)
        second = asyncio.create_task(outcome_of(potential, dimer(4.1)))
        await asyncio.sleep(0.05)
        assert events == ["batch", "step"]
        go.set()
        await second
        assert events == ["batch", "step", "batch"]

    play(backend, scene, in_flight=2)


def test_those_who_want_energies_alone_share_the_batch_and_get_no_more(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        backend.gate.clear()
        first = asyncio.create_task(outcome_of(potential, dimer(4.0)))
        await entered(backend)
        backend.raise_for = lambda graph: bool((graph.positions == 4.2).any())
        wants = [False, True, True, False, True]
        others = [outcome_of(potential, dimer(4.0 + 0.1 * i), want) for i, want in enumerate(wants)]
        waiting = asyncio.gather(*others)
        await queued(potential, 5)
        backend.gate.set()
        await first
        outcomes = await waiting
        assert [type(f).__name__ == "BackendError" for f in outcomes] == [
            False,
            False,
            True,
            False,
            False,
        ]
        sound = {i: f for i, f in enumerate(outcomes) if isinstance(f, StructurePrediction)}
        assert {i: f.forces is not None for i, f in sound.items()} == {
            0: False,
            1: True,
            3: False,
            4: True,
        }
        for i, f in sound.items():
            assert f.energy == alone(backend, dimer(4.0 + 0.1 * i)).energy
        assert (backend.sizes[:2], backend.sizes_alone) == ([1, 3], [2])

    play(backend, scene)


def test_abandoned_ones_cost_nothing(backend: Scripted) -> None:
    async def scene(potential: Potential) -> None:
        backend.gate.clear()
        first = asyncio.create_task(outcome_of(potential, dimer(4.0)))
        await entered(backend)
        left = asyncio.create_task(outcome_of(potential, dimer(4.1)))
        stayed = asyncio.create_task(outcome_of(potential, dimer(4.2)))
        await queued(potential, 2)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        backend.gate.set()
        await asyncio.gather(first, stayed)
        assert backend.sizes == [1, 1]

    play(backend, scene)


def test_a_batch_beyond_the_memory_is_halved_and_loses_nothing(backend: Scripted) -> None:
    class Counting(NullObserver):
        shortages = 0

        def shortage(self) -> None:
            self.shortages += 1

    observer = Counting()

    async def scene(potential: Potential) -> None:
        backend.memory = 4
        backend.gate.clear()
        first = asyncio.create_task(outcome_of(potential, dimer(4.0)))
        await entered(backend)
        others = [
            asyncio.create_task(outcome_of(potential, dimer(4.0 + 0.1 * i))) for i in range(8)
        ]
        await queued(potential, 8)
        backend.gate.set()
        results = await asyncio.gather(first, *others)
        assert all(isinstance(r, StructurePrediction) for r in results)
        assert backend.sizes == [1, 8, 4, 2, 2, 4, 2, 2]
        assert observer.shortages == 3
        assert potential.workers.budget.edges == 4
        assert potential.workers.budget.atoms == 4

    play(backend, scene, observer=observer)


def test_a_fault_in_the_queue_itself_leaves_nobody_waiting(
    backend: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(potential: Potential) -> None:
        with monkeypatch.context() as patch:

            def fail_once(lanes: Lanes[Any], _: Budget) -> list[Task[object]]:
                if len(lanes):
                    patch.undo()
                    raise IndexError("no luck")
                return []

            patch.setattr(Lanes, "next_batch", fail_once)
            lost = await outcome_of(potential, dimer(4.0))
        assert isinstance(lost, BackendError)
        assert "IndexError: no luck" in str(lost)
        assert isinstance(await outcome_of(potential, dimer(4.0)), StructurePrediction)

    play(backend, scene)
