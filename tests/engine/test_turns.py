"""Callers take turns, on simulated queues: time is counted in what was given away."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.budget import Budget, Cost, Speed
from app.engine.turns import FORGET, Turns


@dataclass(eq=False)
class Waiting:
    """An item; what its own caller has before it, and what others had been given when it came."""

    cost: Cost
    caller: int
    abandoned: bool = False
    own: float = 0.0
    given: Counter[int] = field(default_factory=Counter)


def weight(item: Waiting, budget: Budget) -> float:
    return budget.weight(item.cost)


arrivals = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 60), st.integers(1, 30)), max_size=4),
    max_size=12,
)
"""For each batch that is formed: bulks of a caller, atoms of each item, and how many there are."""


@settings(max_examples=200)
@given(arrivals, st.integers(1, 9))
def test_no_caller_is_given_more_than_stated_before_anothers_item(
    arrivals: list[list[tuple[int, int, int]]], structures: int
) -> None:
    """Statement 2 of the scheduler, in batches that pass nothing over."""
    budget = Budget(10**6, 10**6, structures)
    turns: Turns[Waiting] = Turns()
    inside: list[Waiting] = []
    given: Counter[int] = Counter()
    heaviest = 0.0
    rounds = iter(arrivals)
    while (bulks := next(rounds, None)) is not None or len(turns):
        for caller, atoms, count in bulks or []:
            own = sum(weight(other, budget) for other in inside if other.caller == caller)
            for _ in range(count):
                item = Waiting(Cost(atoms, 1), caller, given=given.copy(), own=own)
                own += weight(item, budget)
                inside.append(item)
                turns.add(item)
        if not len(turns):
            continue
        batch = turns.next_batch(budget)
        heaviest = max(heaviest, *(weight(item, budget) for item in batch))
        for item in batch:
            for caller in given:
                if caller != item.caller:
                    before = given[caller] - item.given[caller]
                    assert before <= item.own + 2 * heaviest + 1e-9
        for item in batch:
            inside.remove(item)
            given[item.caller] += weight(item, budget)
    assert not inside


@pytest.mark.parametrize("bulks", [1, 8, 64])
def test_one_molecule_beside_bulks_goes_with_the_next_batches(bulks: int) -> None:
    budget = Budget(4096, 262_144, 64)
    turns: Turns[Waiting] = Turns()
    for caller in range(bulks):
        for _ in range(1000):
            turns.add(Waiting(Cost(21, 300), caller))
    for _ in range(10):
        turns.next_batch(budget)
    small = Waiting(Cost(3, 6), -1)
    turns.add(small)
    waited = 0
    while small not in turns.next_batch(budget):
        waited += 1
    assert waited <= 1


def test_no_stream_of_new_callers_keeps_an_old_one_waiting() -> None:
    budget = Budget(100, 100, 4)
    turns: Turns[Waiting] = Turns()
    last = [Waiting(Cost(1, 1), 0) for _ in range(20)][-1]
    for item in [*(Waiting(Cost(1, 1), 0) for _ in range(19)), last]:
        turns.add(item)
    batches = 0
    for newcomer in range(1, 10_000):
        turns.add(Waiting(Cost(1, 1), newcomer))
        if newcomer % 4 == 0:
            batches += 1
            if last in turns.next_batch(budget):
                break
    assert batches <= 20 * 4


def test_items_of_one_caller_keep_their_order_and_what_does_not_fit_is_passed_over() -> None:
    turns: Turns[Waiting] = Turns()
    items = [Waiting(Cost(atoms, 1), 0) for atoms in (6, 6, 3, 1)]
    for item in items:
        turns.add(item)
    assert turns.next_batch(Budget(10, 10, 10)) == [items[0], items[2], items[3]]
    assert turns.next_batch(Budget(10, 10, 10)) == [items[1]]
    assert len(turns) == 0


def test_what_is_abandoned_is_dropped() -> None:
    turns: Turns[Waiting] = Turns()
    items = [Waiting(Cost(1, 1), caller, abandoned=caller == 1) for caller in (0, 1, 1, 2)]
    for item in items:
        turns.add(item)
    turns.drop_abandoned()
    assert turns.clear() == [items[0], items[3]]


def test_callers_who_have_gone_are_forgotten() -> None:
    turns: Turns[Waiting] = Turns()
    budget = Budget(10, 10, 10)
    for caller in range(10 * FORGET):
        turns.add(Waiting(Cost(1, 1), caller))
        turns.next_batch(budget)
    assert turns.known <= FORGET + 2


@pytest.mark.parametrize(
    ("callers", "each", "items"),
    [(1, 200, 5), (8, 1, 5), (40, 1, 10), (40, 9, 10), (400, 1, 50)],
    ids=["one with many", "few", "many", "many with many", "very many"],
)
def test_batches_last_the_longer_the_more_callers_wait(callers: int, each: int, items: int) -> None:
    """A batch of five lasts as long as a batch may; 50 as long as an evaluation may."""
    budget = Budget(10**6, 10**6, 10**3, seconds=0.05, longest=0.5, speed=Speed(atom=0.001))
    turns: Turns[Waiting] = Turns()
    for _ in range(each):
        for caller in range(callers):
            turns.add(Waiting(Cost(10, 1), caller))
    assert len(turns.next_batch(budget)) == items
