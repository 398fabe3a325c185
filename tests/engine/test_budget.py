"""The largest batch, and what goes whole."""

import math

import pytest

from app.engine.budget import Budget, Cost, Speed

BUDGET = Budget(100, 1000, 10, seconds=0.1, longest=0.5, speed=Speed(edge=0.001), capacity=2000)


@pytest.mark.parametrize(
    ("cost", "whole"),
    [
        (Cost(10, 100), True),
        (Cost(10, 400), True),
        (Cost(10, 600), False),
        (Cost(101, 100), False),
        (Cost(10, 1500), False),
    ],
    ids=["fits a batch", "longer than a batch", "too long for others", "atoms", "edges"],
)
def test_what_is_cut_for_free_goes_whole_only_where_others_need_not_wait_long(
    cost: Cost, whole: bool
) -> None:
    assert BUDGET.goes_whole(cost, cuts_for_free=True) is whole


@pytest.mark.parametrize(
    ("cost", "whole"), [(Cost(10, 600), True), (Cost(101, 2000), True), (Cost(10, 2001), False)]
)
def test_what_is_not_cut_for_free_goes_whole_wherever_memory_bears_it(
    cost: Cost, whole: bool
) -> None:
    assert BUDGET.goes_whole(cost, cuts_for_free=False) is whole


def test_a_piece_is_one_that_fits_a_batch_or_memory() -> None:
    assert BUDGET.is_piece(Cost(100, 100), cuts_for_free=True)
    assert not BUDGET.is_piece(Cost(100, 101), cuts_for_free=True)
    assert BUDGET.is_piece(Cost(1000, 2000), cuts_for_free=False)
    assert not BUDGET.is_piece(Cost(1, 2001), cuts_for_free=False)


def test_after_a_shortage_a_batch_is_at_most_half_of_what_failed() -> None:
    lowered = BUDGET.lowered(Cost(80, 600))
    assert (lowered.atoms, lowered.edges, lowered.capacity) == (40, 300, 300)
    assert BUDGET.lowered(Cost(1, 0)).atoms == 1


def test_weight_is_time_where_it_is_known_and_size_where_not() -> None:
    assert BUDGET.weight(Cost(10, 250)) == pytest.approx(0.5)
    unknown = Budget(100, 1000, 10)
    assert unknown.weight(Cost(50, 250)) == pytest.approx(0.5)
    assert math.isinf(unknown.longest)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_a_batch_without_room_is_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="needs room"):
        Budget(*sizes)
