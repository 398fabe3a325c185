"""The policy of batches, on simulated queues: time is counted in batches, nothing sleeps."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from app.engine.budget import LOOK_PAST, Budget, Cost, Speed, fill_batch
from app.engine.scheduler import Lane, Lanes, next_lane

costs = st.lists(st.builds(Cost, st.integers(1, 60), st.integers(0, 400)), max_size=100)
speeds = st.builds(Speed, st.floats(0, 0.01), st.floats(0, 0.01), st.floats(0, 0.01))
budgets = st.builds(
    Budget,
    *(st.integers(1, 100), st.integers(1, 800), st.integers(1, 20)),
    *(st.floats(0.001, 1.0), st.floats(0.01, 1.0), speeds),
)


class TestTake:
    @given(costs, budgets)
    def test_first_always_goes_and_the_rest_fits(self, waiting: list[Cost], budget: Budget) -> None:
        taken = fill_batch(waiting, budget)
        assert taken == sorted(set(taken))
        assert taken[:1] == ([0] if waiting else [])
        assert len(taken) <= budget.structures
        if len(taken) > 1:
            assert budget.holds(total(waiting, taken))

    @given(costs, budgets)
    def test_nothing_starves(self, waiting: list[Cost], budget: Budget) -> None:
        rest = list(enumerate(waiting))
        for batch in range(len(waiting)):
            assert not rest or rest[0][0] >= batch, "each batch takes at least the oldest"
            taken = set(fill_batch([cost for _, cost in rest], budget))
            rest = [item for i, item in enumerate(rest) if i not in taken]
        assert not rest

    @given(costs, budgets)
    def test_what_fits_at_the_front_is_not_left(self, waiting: list[Cost], budget: Budget) -> None:
        taken = fill_batch(waiting, budget)
        left = [i for i in range(min(len(waiting), LOOK_PAST)) if i not in taken]
        if len(taken) < budget.structures and left:
            before = [i for i in taken if i < left[0]]
            assert not budget.holds(total(waiting, [*before, left[0]]))

    def test_too_large_goes_alone(self) -> None:
        budget = Budget(10, 10, 4)
        assert fill_batch([Cost(50, 0), Cost(1, 0)], budget) == [0]
        assert fill_batch([Cost(1, 0), Cost(50, 0), Cost(1, 0)], budget) == [0, 2]

    def test_no_batch_is_predicted_to_last_too_long(self) -> None:
        budget = Budget(10**6, 10**6, 100, seconds=0.25, speed=Speed(base=0.01, edge=0.001))
        assert fill_batch([Cost(10, 100)] * 5, budget) == [0, 1]
        assert fill_batch([Cost(10, 500), Cost(1, 1)], budget) == [0]


def total(waiting: list[Cost], indices: list[int]) -> Cost:
    return sum((waiting[i] for i in indices), Cost(0, 0))


@dataclass(eq=False)
class Waiting:
    """An item; the batches ahead of it in its lane, and what both lanes had had when it came."""

    cost: Cost
    lane: Lane
    ahead: int = 0
    since: float = 0.0
    abandoned: bool = False
    caller: str = "one"


def weight(batch: list[Waiting], budget: Budget) -> float:
    return budget.weight(sum((item.cost for item in batch), Cost(0, 0)))


def ahead_of_last(lane: list[Waiting], budget: Budget) -> int:
    """Number of the batches that a lane makes before that of its last item."""
    rest, before = list(lane), 0
    while True:
        chosen = [rest[i] for i in fill_batch([item.cost for item in rest], budget)]
        if lane[-1] in chosen:
            return before
        before += 1
        rest = [item for item in rest if item not in chosen]


arrivals = st.lists(
    st.lists(
        st.tuples(st.builds(Cost, st.integers(1, 60), st.integers(0, 400)), st.sampled_from(Lane)),
        max_size=12,
    ),
    max_size=12,
)


class TestLanes:
    @given(arrivals, budgets)
    def test_nothing_waits_longer_than_stated(
        self, arrivals: list[list[tuple[Cost, Lane]]], budget: Budget
    ) -> None:
        """Statement 1, without the batch that was running: items come when a batch is formed."""
        lanes: Lanes[Waiting] = Lanes()
        inside: dict[Lane, list[Waiting]] = {lane: [] for lane in Lane}
        clock, heaviest, round_ = 0.0, dict.fromkeys(Lane, 0.0), 0
        while round_ < len(arrivals) or len(lanes):
            for cost, lane in arrivals[round_] if round_ < len(arrivals) else []:
                item = Waiting(cost, lane, since=clock)
                inside[lane].append(item)
                item.ahead = ahead_of_last(inside[lane], budget)
                lanes.add([item])
            went = lanes.next_batch(budget)
            round_ += 1
            for item in went:
                own = 2 * item.ahead * heaviest[item.lane]
                assert clock - item.since <= own + 2 * max(1.0, *heaviest.values()) + 1e-9
                inside[item.lane].remove(item)
            if went:
                clock += weight(went, budget)
                heaviest[went[0].lane] = max(heaviest[went[0].lane], weight(went, budget))
        assert not any(inside.values())

    @given(st.lists(st.integers(1, 8), min_size=1, max_size=6), st.integers(0, 3))
    def test_large_structures_end_however_many_small_ones_come(
        self, pieces: list[int], small: int
    ) -> None:
        """Statement 3, batch by batch: of m in p pieces, one is done in p (2 (m − 1) + 4)."""
        budget = Budget(100, 1000, 2)
        lanes: Lanes[Waiting] = Lanes()
        left = {Waiting(Cost(100, 1000), Lane.LARGE): count for count in pieces}
        lanes.add(left)
        bounds = {item: count * (2 * (len(pieces) - 1) + 4) for item, count in left.items()}
        clock = 0.0
        while left:
            lanes.add(Waiting(Cost(60, 10), Lane.SMALL) for _ in range(small))
            went = lanes.next_batch(budget)
            clock += weight(went, budget)
            for item in went:
                if item.lane is Lane.LARGE:
                    left[item] -= 1
                    if left[item]:
                        lanes.add([item])
                    else:
                        del left[item]
                        assert clock <= bounds[item]

    def test_the_lane_that_had_less_goes(self) -> None:
        assert next_lane([True, True], [0.2, 0.1]) is Lane.LARGE
        assert next_lane([True, True], [0.1, 0.1]) is Lane.SMALL
        assert next_lane([True, False], [0.2, 0.1]) is Lane.SMALL

    def test_a_lane_that_was_empty_saves_no_more_than_one_batch(self) -> None:
        budget = Budget(10, 10, 10)
        lanes: Lanes[Waiting] = Lanes()
        for _ in range(5):
            lanes.add([Waiting(Cost(10, 10), Lane.SMALL)])
            lanes.next_batch(budget)
        lanes.add(Waiting(Cost(10, 10), lane) for lane in (*[Lane.SMALL] * 3, *[Lane.LARGE] * 3))
        order = [lanes.next_batch(budget)[0].lane for _ in range(6)]
        assert order == [Lane.LARGE, Lane.SMALL, Lane.LARGE, Lane.SMALL, Lane.LARGE, Lane.SMALL]

    def test_two_hundred_molecules_beside_one_crystal(self) -> None:
        """They get half of the time: of the crystal, their own weight and a batch go before."""
        budget = Budget(4096, 262_144, 64)
        lanes: Lanes[Waiting] = Lanes()
        lanes.add([Waiting(Cost(1024, 60_000), Lane.LARGE)])
        lanes.add(Waiting(Cost(21, 306), Lane.SMALL) for _ in range(200))
        small = large = 0.0
        done = 0
        while done < 200:
            batch = lanes.next_batch(budget)
            if batch[0].lane is Lane.LARGE:
                large += weight(batch, budget)
                lanes.add(batch)
            else:
                small += weight(batch, budget)
                done += len(batch)
        assert large <= small + 0.25

    def test_abandoned_ones_are_dropped(self) -> None:
        lanes: Lanes[Waiting] = Lanes()
        items = [Waiting(Cost(1, 1), Lane.SMALL, abandoned=n == 1) for n in range(3)]
        lanes.add(items)
        assert lanes.next_batch(Budget(10, 10, 10)) == [items[0], items[2]]
        assert lanes.next_batch(Budget(10, 10, 10)) == []
