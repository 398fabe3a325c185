import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.backends import Backend
from app.backends.pair import PairBackend
from app.batching import LOOK_AHEAD, Batcher, Bound, Budget, Cost, Task, take
from app.errors import BackendError, EquipotError, InvalidStructure, Overloaded, Unavailable
from app.evaluate import Outcome, evaluate
from app.graph import Graph
from app.neighbors import build_graph
from app.prediction import Prediction, StructurePrediction
from app.store import ModelCard
from app.structure import Structure

AMPLE = Bound(1000, 10_000)
BUDGET = Budget(atoms=1000, edges=100_000, structures=8)

costs = st.lists(st.builds(Cost, st.integers(1, 60), st.integers(0, 400)), max_size=100)
budgets = st.builds(Budget, st.integers(1, 100), st.integers(1, 800), st.integers(1, 20))


def dimer(distance: float) -> Structure:
    return Structure(np.array([18, 18]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]]))


class Scripted:
    """The pair backend with a gate, a record of batch sizes, and structures that it fails on."""

    def __init__(self, card: ModelCard) -> None:
        self._pair = PairBackend(card)
        self.card = card
        self.sizes: list[int] = []
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.raise_for: Callable[[Graph], bool] = lambda _: False
        self.nan_for: float | None = None

    def __call__(self, graph: Graph) -> Prediction:
        self.entered.set()
        assert self.gate.wait(60)
        self.sizes.append(len(graph.n_atoms))
        if self.raise_for(graph):
            raise RuntimeError("no luck")
        prediction = self._pair(graph)
        if self.nan_for is not None:
            heights = np.maximum.reduceat(graph.positions[:, 2], np.cumsum([0, *graph.n_atoms[:-1]]))
            prediction.energy[np.isclose(heights, self.nan_for)] = np.nan
        return prediction


@pytest.fixture
def backend(pair_card: ModelCard) -> Scripted:
    return Scripted(pair_card)


def graphs_of(backend: Backend, distances: Sequence[float]) -> list[Graph]:
    return [build_graph(dimer(d), backend.card.cutoff) for d in distances]


class TestTake:
    @given(costs, budgets)
    def test_first_always_goes_and_the_rest_fits(self, waiting: list[Cost], budget: Budget) -> None:
        taken = take(waiting, budget)
        assert taken == sorted(set(taken))
        assert taken[:1] == ([0] if waiting else [])
        assert len(taken) <= budget.structures
        if len(taken) > 1:
            assert sum(waiting[i].atoms for i in taken) <= budget.atoms
            assert sum(waiting[i].edges for i in taken) <= budget.edges

    @given(costs, budgets)
    def test_nothing_starves(self, waiting: list[Cost], budget: Budget) -> None:
        rest = list(enumerate(waiting))
        for batch in range(len(waiting)):
            assert not rest or rest[0][0] >= batch, "each batch takes at least the oldest"
            taken = set(take([cost for _, cost in rest], budget))
            rest = [item for i, item in enumerate(rest) if i not in taken]
        assert not rest

    @given(costs, budgets)
    def test_what_fits_at_the_front_is_not_left(self, waiting: list[Cost], budget: Budget) -> None:
        taken = take(waiting, budget)
        left = [i for i in range(min(len(waiting), LOOK_AHEAD)) if i not in taken]
        if len(taken) < budget.structures and left:
            before = [i for i in taken if i < left[0]]
            over_atoms = sum(waiting[i].atoms for i in before) + waiting[left[0]].atoms > budget.atoms
            over_edges = sum(waiting[i].edges for i in before) + waiting[left[0]].edges > budget.edges
            assert over_atoms or over_edges

    def test_too_large_goes_alone(self) -> None:
        budget = Budget(10, 10, 4)
        assert take([Cost(50, 0), Cost(1, 0)], budget) == [0]
        assert take([Cost(1, 0), Cost(50, 0), Cost(1, 0)], budget) == [0, 2]


class TestEvaluate:
    def test_one_that_raises_costs_only_itself(self, backend: Scripted) -> None:
        backend.raise_for = lambda graph: bool((graph.positions == 4.5).any())
        outcomes = evaluate(backend, graphs_of(backend, [3.5, 4.0, 4.5, 5.0, 5.5]))
        assert [isinstance(o, BackendError) for o in outcomes] == [False, False, True, False, False]
        assert "RuntimeError: no luck" in str(outcomes[2])
        alone = [evaluate(backend, [g])[0] for g in graphs_of(backend, [3.5, 4.0, 5.0, 5.5])]
        kept = [o for o in outcomes if isinstance(o, StructurePrediction)]
        assert [k.energy for k in kept] == [a.energy for a in alone if isinstance(a, StructurePrediction)]

    def test_errors_of_our_own_keep_their_class(self, backend: Scripted) -> None:
        def refuse(_: Graph) -> bool:
            raise InvalidStructure("not this one")

        backend.raise_for = refuse
        (outcome,) = evaluate(backend, graphs_of(backend, [4.0]))
        assert isinstance(outcome, InvalidStructure)

    @pytest.mark.parametrize("distances", [[4.5], [4.0, 4.5, 5.0], [4.5, 4.5]])
    def test_a_number_that_is_not_finite_is_an_error(self, backend: Scripted, distances: list[float]) -> None:
        backend.nan_for = 4.5
        outcomes = evaluate(backend, graphs_of(backend, distances))
        assert [isinstance(o, BackendError) for o in outcomes] == [d == 4.5 for d in distances]

    def test_a_neighbour_that_was_spoilt_is_evaluated_again(self, backend: Scripted) -> None:
        class Contagious(Scripted):
            def __call__(self, graph: Graph) -> Prediction:
                prediction = super().__call__(graph)
                if np.isnan(prediction.energy).any():
                    prediction.energy[:] = np.nan
                return prediction

        sick = Contagious(backend.card)
        sick.nan_for = 4.5
        outcomes = evaluate(sick, graphs_of(sick, [4.0, 4.5, 5.0]))
        assert [isinstance(o, BackendError) for o in outcomes] == [False, True, False]


async def outcome_of(batcher: Batcher, structure: Structure) -> StructurePrediction | EquipotError:
    try:
        with batcher.admit(1, len(structure)):
            return await batcher.predict(structure)
    except EquipotError as error:
        return error


async def entered(backend: Scripted) -> None:
    assert await asyncio.to_thread(backend.entered.wait, 60)


class TestBatcher:
    def run(self, backend: Scripted, scene: Callable[[Batcher], object], bound: Bound = AMPLE) -> None:
        async def main() -> None:
            batcher = Batcher(backend, BUDGET, bound, max_edges=10_000)
            batcher.start()
            try:
                await scene(batcher)  # type: ignore[misc]
            finally:
                backend.gate.set()
                await batcher.stop()

        asyncio.run(main())

    def test_what_waits_becomes_the_next_batch(self, backend: Scripted) -> None:
        async def scene(batcher: Batcher) -> None:
            backend.gate.clear()
            first = asyncio.create_task(outcome_of(batcher, dimer(4.0)))
            await entered(backend)
            others = [asyncio.create_task(outcome_of(batcher, dimer(4.0 + 0.1 * i))) for i in range(5)]
            await asyncio.sleep(0)
            assert batcher.depth == 5
            backend.gate.set()
            results = await asyncio.gather(first, *others)
            assert backend.sizes == [1, 5]
            alone = [await outcome_of(batcher, dimer(4.0 + 0.1 * i)) for i in range(5)]
            assert [r.energy for r in results[1:]] == [a.energy for a in alone]

        self.run(backend, scene)

    def test_abandoned_ones_cost_nothing(self, backend: Scripted) -> None:
        async def scene(batcher: Batcher) -> None:
            backend.gate.clear()
            first = asyncio.create_task(outcome_of(batcher, dimer(4.0)))
            await entered(backend)
            left = asyncio.create_task(outcome_of(batcher, dimer(4.1)))
            stayed = asyncio.create_task(outcome_of(batcher, dimer(4.2)))
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.gather(left, return_exceptions=True)
            backend.gate.set()
            await asyncio.gather(first, stayed)
            assert backend.sizes == [1, 1]

        self.run(backend, scene)

    def test_a_full_house_says_when_to_come_back(self, backend: Scripted) -> None:
        async def scene(batcher: Batcher) -> None:
            backend.gate.clear()
            inside = [asyncio.create_task(outcome_of(batcher, dimer(4.0))) for _ in range(2)]
            await asyncio.sleep(0)
            refused = await outcome_of(batcher, dimer(4.0))
            assert isinstance(refused, Overloaded)
            assert refused.retry_after >= 1
            backend.gate.set()
            assert not any(isinstance(o, EquipotError) for o in await asyncio.gather(*inside))
            assert isinstance(await outcome_of(batcher, dimer(4.0)), StructurePrediction)

        self.run(backend, scene, Bound(structures=2, atoms=100))

    def test_the_largest_request_enters_an_empty_house(self, backend: Scripted) -> None:
        async def scene(batcher: Batcher) -> None:
            assert isinstance(await outcome_of(batcher, dimer(4.0)), StructurePrediction)

        self.run(backend, scene, Bound(structures=1, atoms=1))

    def test_stop_finishes_what_was_admitted(self, backend: Scripted) -> None:
        async def scene(batcher: Batcher) -> None:
            backend.gate.clear()
            inside = asyncio.create_task(outcome_of(batcher, dimer(4.0)))
            await entered(backend)
            stopping = asyncio.create_task(batcher.stop())
            await asyncio.sleep(0)
            assert isinstance(await outcome_of(batcher, dimer(4.0)), Unavailable)
            assert not stopping.done()
            backend.gate.set()
            await stopping
            assert isinstance(await inside, StructurePrediction)

        self.run(backend, scene)

    def test_a_bad_structure_fails_before_the_queue(self, backend: Scripted) -> None:
        async def scene(batcher: Batcher) -> None:
            assert isinstance(await outcome_of(batcher, dimer(0.01)), InvalidStructure)
            assert backend.sizes == []

        self.run(backend, scene)

    def test_a_task_that_breaks_after_its_evaluation_gets_an_error_and_the_others_their_answers(
        self, backend: Scripted
    ) -> None:
        class Broken(Task):
            @classmethod
            def absorb(cls, tasks: Sequence[Any], outcomes: Sequence[Outcome]) -> list[Any]:
                raise RuntimeError("no luck")

        async def scene(batcher: Batcher) -> None:
            backend.gate.clear()
            first = asyncio.create_task(outcome_of(batcher, dimer(4.0)))
            await entered(backend)
            with batcher.admit(1, 2):
                broken = asyncio.create_task(batcher.run(Broken(await batcher.graph(dimer(4.1)))))
                sound = asyncio.create_task(outcome_of(batcher, dimer(4.2)))
                await asyncio.sleep(0)
                backend.gate.set()
                with pytest.raises(BackendError, match="RuntimeError: no luck"):
                    await broken
            assert isinstance(await sound, StructurePrediction)
            assert isinstance(await first, StructurePrediction)
            assert backend.sizes == [1, 2]

        self.run(backend, scene)

    def test_large_structures_are_built_in_another_thread(self, backend: Scripted) -> None:
        grid = 3.8 * np.stack(np.meshgrid(*[np.arange(7)] * 3), axis=-1).reshape(-1, 3)
        large = Structure(np.full(len(grid), 18), grid)

        async def scene(batcher: Batcher) -> None:
            assert isinstance(await outcome_of(batcher, large), StructurePrediction)

        self.run(backend, scene)
