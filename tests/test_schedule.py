"""The policy of batch formation, on simulated queues: time is counted in batches, and nothing sleeps."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from app.schedule import LOOK_AHEAD, Budget, Cost, Lane, Lanes, Speed, take, turn

costs = st.lists(st.builds(Cost, st.integers(1, 60), st.integers(0, 400)), max_size=100)
speeds = st.builds(Speed, st.floats(0, 0.01), st.floats(0, 0.01), st.floats(0, 0.01))
budgets = st.builds(Budget, st.integers(1, 100), st.integers(1, 800), st.integers(1, 20), st.floats(0.001, 1.0), speeds)


class TestTake:
    @given(costs, budgets)
    def test_first_always_goes_and_the_rest_fits(self, waiting: list[Cost], budget: Budget) -> None:
        taken = take(waiting, budget)
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
            taken = set(take([cost for _, cost in rest], budget))
            rest = [item for i, item in enumerate(rest) if i not in taken]
        assert not rest

    @given(costs, budgets)
    def test_what_fits_at_the_front_is_not_left(self, waiting: list[Cost], budget: Budget) -> None:
        taken = take(waiting, budget)
        left = [i for i in range(min(len(waiting), LOOK_AHEAD)) if i not in taken]
        if len(taken) < budget.structures and left:
            before = [i for i in taken if i < left[0]]
            assert not budget.holds(total(waiting, [*before, left[0]]))

    def test_too_large_goes_alone(self) -> None:
        budget = Budget(10, 10, 4)
        assert take([Cost(50, 0), Cost(1, 0)], budget) == [0]
        assert take([Cost(1, 0), Cost(50, 0), Cost(1, 0)], budget) == [0, 2]

    def test_no_batch_is_predicted_to_last_too_long(self) -> None:
        budget = Budget(10**6, 10**6, 100, seconds=0.25, speed=Speed(base=0.01, edge=0.001))
        assert take([Cost(10, 100)] * 5, budget) == [0, 1]
        assert take([Cost(10, 500), Cost(1, 1)], budget) == [0]


def total(waiting: list[Cost], indices: list[int]) -> Cost:
    return sum((waiting[i] for i in indices), Cost(0, 0))


@dataclass(eq=False)
class Waiting:
    """An item, and the last batch, from when it came, with which it may go."""

    cost: Cost
    lane: Lane
    deadline: int = 0
    abandoned: bool = False


def alone(lane: list[Waiting], budget: Budget) -> list[int]:
    """With which batch, from 1, each item of a lane goes where the other lane is empty."""
    batches = [0] * len(lane)
    rest, batch = list(range(len(lane))), 0
    while rest:
        batch += 1
        chosen = set(take([lane[i].cost for i in rest], budget))
        for place in chosen:
            batches[rest[place]] = batch
        rest = [i for place, i in enumerate(rest) if place not in chosen]
    return batches


arrivals = st.lists(
    st.lists(st.tuples(st.builds(Cost, st.integers(1, 60), st.integers(0, 400)), st.sampled_from(Lane)), max_size=12),
    max_size=12,
)


class TestLanes:
    @given(arrivals, budgets)
    def test_nothing_waits_longer_than_stated(self, arrivals: list[list[tuple[Cost, Lane]]], budget: Budget) -> None:
        """Statement 1: with k batches in its own lane up to it, an item goes with one of the next 2 k."""
        lanes: Lanes[Waiting] = Lanes()
        inside: dict[Lane, list[Waiting]] = {lane: [] for lane in Lane}
        batch = 0
        while batch < len(arrivals) or len(lanes):
            for cost, lane in arrivals[batch] if batch < len(arrivals) else []:
                item = Waiting(cost, lane)
                inside[lane].append(item)
                item.deadline = batch + 2 * alone(inside[lane], budget)[-1]
                lanes.add([item])
            went = lanes.next(budget)
            batch += 1
            for item in went:
                assert batch <= item.deadline
                inside[item.lane].remove(item)
        assert not any(inside.values())

    @given(st.lists(st.integers(1, 8), min_size=1, max_size=6), st.integers(0, 3))
    def test_large_structures_end_however_many_small_ones_come(self, pieces: list[int], small: int) -> None:
        """Statement 4: with m structures in pieces, one of p pieces is done after 2 m p batches."""
        budget = Budget(100, 1000, 2)
        lanes: Lanes[Waiting] = Lanes()
        left = {Waiting(Cost(100, 1000), Lane.LARGE): count for count in pieces}
        lanes.add(left)
        bounds = {item: 2 * len(pieces) * count for item, count in left.items()}
        batch = 0
        while left:
            lanes.add(Waiting(Cost(60, 10), Lane.SMALL) for _ in range(small))
            batch += 1
            for item in lanes.next(budget):
                if item.lane is Lane.LARGE:
                    left[item] -= 1
                    if left[item]:
                        lanes.add([item])
                    else:
                        del left[item]
                        assert batch <= bounds[item]

    def test_lanes_take_turns_while_both_wait(self) -> None:
        assert turn([True, True], Lane.SMALL) is Lane.LARGE
        assert turn([True, True], Lane.LARGE) is Lane.SMALL
        assert turn([True, False], Lane.SMALL) is Lane.SMALL

    def test_two_hundred_molecules_beside_one_crystal(self) -> None:
        """One batch of the crystal between any two of theirs, and no more."""
        budget = Budget(4096, 262_144, 64)
        lanes: Lanes[Waiting] = Lanes()
        lanes.add([Waiting(Cost(4096, 200_000), Lane.LARGE)])
        lanes.add(Waiting(Cost(21, 306), Lane.SMALL) for _ in range(200))
        sizes = []
        while batch := lanes.next(budget):
            sizes.append((batch[0].lane, len(batch)))
            if batch[0].lane is Lane.LARGE and len(sizes) < 7:
                lanes.add(batch)
        small = [(Lane.SMALL, 64), (Lane.SMALL, 64), (Lane.SMALL, 64), (Lane.SMALL, 8)]
        assert sizes[:7:2] == small
        assert all(lane is Lane.LARGE for lane, _ in sizes[1::2])

    def test_abandoned_ones_are_dropped(self) -> None:
        lanes: Lanes[Waiting] = Lanes()
        items = [Waiting(Cost(1, 1), Lane.SMALL, abandoned=n == 1) for n in range(3)]
        lanes.add(items)
        assert lanes.next(Budget(10, 10, 10)) == [items[0], items[2]]
        assert lanes.next(Budget(10, 10, 10)) == []
