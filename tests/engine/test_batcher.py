"""Structures that are evaluated together, whole and in pieces."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction, split
from app.atoms.structure import Structure
from app.backends.pair import PairBackend
from app.engine.admission import QueueLimits
from app.engine.bisect import Outcome
from app.engine.budget import Budget
from app.engine.observer import NullObserver, Observer
from app.engine.potential import Potential, PotentialOptions
from app.engine.scheduler import Lanes
from app.engine.task import Step, Task
from app.errors import (
    BackendError,
    EquipotError,
    InvalidStructure,
    OutOfMemory,
    Overloaded,
    StructureTooLarge,
    Unavailable,
)
from tests.engine.scripted import Scripted, dimer

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


class TestBatches:
    def run(
        self,
        backend: Scripted,
        scene: Callable[[Potential], object],
        queue: QueueLimits = AMPLE,
        observer: Observer | None = None,
        in_flight: int = 1,
    ) -> None:
        async def main() -> None:
            options = PotentialOptions(queue=queue, max_edges=10_000, in_flight=in_flight)
            potential = Potential(backend, "", BUDGET, options, observer)
            potential.start()
            try:
                await scene(potential)  # type: ignore[misc]
            finally:
                backend.gate.set()
                await potential.stop()

        asyncio.run(main())

    def test_what_waits_becomes_the_next_batch(self, backend: Scripted) -> None:
        async def scene(potential: Potential) -> None:
            backend.gate.clear()
            first = asyncio.create_task(outcome_of(potential, dimer(4.0)))
            await entered(backend)
            others = [
                asyncio.create_task(outcome_of(potential, dimer(4.0 + 0.1 * i))) for i in range(5)
            ]
            await asyncio.sleep(0)
            assert potential.workers.depth == 5
            backend.gate.set()
            results = await asyncio.gather(first, *others)
            assert backend.sizes == [1, 5]
            alone = [await outcome_of(potential, dimer(4.0 + 0.1 * i)) for i in range(5)]
            assert [r.energy for r in results[1:]] == [a.energy for a in alone]

        self.run(backend, scene)

    def test_a_second_batch_goes_while_the_first_is_evaluated(self, backend: Scripted) -> None:
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

        self.run(backend, scene, in_flight=2)

    def test_work_for_idle_times_waits_until_no_batch_is_in_flight_and_none_begins_meanwhile(
        self, backend: Scripted
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

        self.run(backend, scene, in_flight=2)

    def test_those_who_want_energies_alone_share_the_batch_and_get_no_more(
        self, backend: Scripted
    ) -> None:
        async def scene(potential: Potential) -> None:
            backend.gate.clear()
            first = asyncio.create_task(outcome_of(potential, dimer(4.0)))
            await entered(backend)
            backend.raise_for = lambda graph: bool((graph.positions == 4.2).any())
            wants = [False, True, True, False, True]
            others = [
                outcome_of(potential, dimer(4.0 + 0.1 * i), want) for i, want in enumerate(wants)
            ]
            waiting = asyncio.gather(*others)
            await asyncio.sleep(0)
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

        self.run(backend, scene)

    def test_a_large_structure_has_its_energies_alone_in_pieces(self, backend: Scripted) -> None:
        async def scene(potential: Potential) -> None:
            potential.workers.budget = Budget(atoms=25, edges=100_000, structures=8)
            actual = await outcome_of(potential, grid(4), derivatives=False)
            assert isinstance(actual, StructurePrediction)
            assert actual.energy == pytest.approx(alone(backend, grid(4)).energy, rel=1e-12)
            assert actual.forces is None
            assert (backend.sizes, backend.sizes_alone) == ([], [1, 1, 1, 1])

        self.run(backend, scene)

    def test_abandoned_ones_cost_nothing(self, backend: Scripted) -> None:
        async def scene(potential: Potential) -> None:
            backend.gate.clear()
            first = asyncio.create_task(outcome_of(potential, dimer(4.0)))
            await entered(backend)
            left = asyncio.create_task(outcome_of(potential, dimer(4.1)))
            stayed = asyncio.create_task(outcome_of(potential, dimer(4.2)))
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.gather(left, return_exceptions=True)
            backend.gate.set()
            await asyncio.gather(first, stayed)
            assert backend.sizes == [1, 1]

        self.run(backend, scene)

    def test_a_full_queue_says_when_to_come_back(self, backend: Scripted) -> None:
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

        self.run(backend, scene, QueueLimits(structures=2, atoms=1000))

    def test_the_largest_request_enters_an_empty_queue(self, backend: Scripted) -> None:
        async def scene(potential: Potential) -> None:
            assert isinstance(await outcome_of(potential, dimer(4.0)), StructurePrediction)

        self.run(backend, scene, QueueLimits(structures=1, atoms=1))

    def test_stop_finishes_what_was_admitted(self, backend: Scripted) -> None:
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

        self.run(backend, scene)

    def test_a_large_structure_goes_in_pieces_and_small_ones_between_them(
        self, backend: Scripted
    ) -> None:
        async def scene(potential: Potential) -> None:
            potential.workers.budget = Budget(atoms=25, edges=100_000, structures=8)
            backend.gate.clear()
            large = asyncio.create_task(outcome_of(potential, grid(4)))
            await entered(backend)
            small = [
                asyncio.create_task(outcome_of(potential, dimer(4.0 + 0.1 * i))) for i in range(5)
            ]
            await asyncio.sleep(0)
            backend.gate.set()
            await asyncio.gather(*small)
            actual = await large
            assert backend.sizes == [1, 5, 1, 1, 1], (
                "four pieces of 16 atoms, and one batch of the molecules"
            )
            assert_same(actual, alone(backend, grid(4)))

        self.run(backend, scene)

    def test_more_edges_than_allowed_end_it(self, backend: Scripted) -> None:
        async def scene(potential: Potential) -> None:
            potential.workers.budget = Budget(atoms=25, edges=100_000, structures=8)
            assert isinstance(await outcome_of(potential, grid(10)), StructureTooLarge)

        self.run(backend, scene)

    def test_a_batch_beyond_the_memory_is_halved_and_loses_nothing(self, backend: Scripted) -> None:
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
            await asyncio.sleep(0)
            backend.gate.set()
            results = await asyncio.gather(first, *others)
            assert all(isinstance(r, StructurePrediction) for r in results)
            assert backend.sizes == [1, 8, 4, 2, 2, 4, 2, 2]
            assert observer.shortages == 3
            assert potential.workers.budget.edges == 4
            assert potential.workers.budget.atoms == 4

        self.run(backend, scene, observer=observer)

    @pytest.mark.parametrize("local", [True, False], ids=["local", "message passing"])
    def test_one_structure_beyond_the_memory_goes_in_pieces(
        self, backend: Scripted, local: bool
    ) -> None:
        backend.is_strictly_local = local

        async def scene(potential: Potential) -> None:
            backend.memory = 30
            chain = Structure(np.full(40, 18), np.outer(np.arange(40), [0.0, 0.0, 3.8]))
            actual = await outcome_of(potential, chain)
            assert backend.sizes[0] == 1
            assert len(backend.sizes) > 2
            assert_same(actual, alone(backend, chain))

        self.run(backend, scene)

    def test_an_atom_beyond_the_memory_is_an_error_of_its_own(self, backend: Scripted) -> None:
        async def scene(potential: Potential) -> None:
            backend.memory = 2
            outcomes = await asyncio.gather(
                outcome_of(potential, grid(2)), outcome_of(potential, dimer(4.0))
            )
            assert isinstance(outcomes[0], OutOfMemory)
            assert isinstance(outcomes[1], StructurePrediction)

        self.run(backend, scene)

    def test_a_bad_structure_fails_before_the_queue(self, backend: Scripted) -> None:
        async def scene(potential: Potential) -> None:
            assert isinstance(await outcome_of(potential, dimer(0.01)), InvalidStructure)
            assert backend.sizes == []

        self.run(backend, scene)

    def test_a_task_that_breaks_after_its_evaluation_gets_an_error_and_the_others_their_answers(
        self, backend: Scripted
    ) -> None:
        class Broken(Task[str]):
            @classmethod
            def advance(cls, tasks: Sequence[Any], outcomes: Sequence[Outcome]) -> list[Step[str]]:
                raise RuntimeError("no luck")

        async def scene(potential: Potential) -> None:
            backend.gate.clear()
            first = asyncio.create_task(outcome_of(potential, dimer(4.0)))
            await entered(backend)
            with potential.admission.admit(1, 2):
                broken = asyncio.create_task(
                    potential.workers.run(
                        Broken(await potential.graphs.graph(dimer(4.1)), "caller")
                    )
                )
                sound = asyncio.create_task(outcome_of(potential, dimer(4.2)))
                await asyncio.sleep(0)
                backend.gate.set()
                with pytest.raises(BackendError, match="RuntimeError: no luck"):
                    await broken
            assert isinstance(await sound, StructurePrediction)
            assert isinstance(await first, StructurePrediction)
            assert backend.sizes == [1, 2]

        self.run(backend, scene)

    def test_a_fault_in_the_queue_itself_leaves_nobody_waiting(
        self, backend: Scripted, monkeypatch: pytest.MonkeyPatch
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

        self.run(backend, scene)

    def test_large_structures_are_built_in_another_thread(self, backend: Scripted) -> None:
        async def scene(potential: Potential) -> None:
            assert isinstance(await outcome_of(potential, grid(6)), StructurePrediction)

        self.run(backend, scene)
