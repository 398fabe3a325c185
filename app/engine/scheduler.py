"""Which of the waiting items make the next batch: a policy on predicted cost, as pure functions.

There are two lanes. What fits into a batch waits in the *small* lane. What does not waits in the
*large* lane: whole where `Budget.goes_whole`, otherwise in pieces that fit into a batch
(`app.atoms.decomposition`), of which one at a time is in the lane, at its end. Whole goes what
alone takes no longer than `Budget.longest`, and what memory bears where cutting is not free; steps
of relaxations always do. Within a lane, the oldest goes first, with whatever else
fits. Between the lanes, the one that has had less of the backend goes: each is charged the weight
of its batches, in units of the longest one allowed, and one that was empty may be behind the other
by one unit at most.

Let M be the weight of the heaviest batch: M <= 1 as far as predictions hold, unless an item can
neither go within the limits nor be cut. The lane that goes is the one behind or level, so that
afterwards it is ahead by no more than its batch: the lanes are never further apart than M or 1, and
between two moments one of them gets at most 2 M more than the other while both have something
waiting. Take an item that has k batches of its own lane ahead, none heavier than S. Later items
never change k, since they only get what it and those before it leave over; they may fill a batch
up.

Items that want energies alone are charged as the others, though they may take less. Where a batch
has both kinds, they are evaluated in a call of their own, so that it may last longer than predicted
by a second `Speed.base`, and no more.

1. It waits for k S in its own lane, at most k S + 2 M in the other one, and at most 2 M for the two
   batches that were running when it came: in all 2 k S + 4 M, or twice what it would wait if the
   other lane were empty, and four times the longest batch (`EQUIPOT_BATCH_SECONDS`). One large
   structure or a thousand, of any size, do no more to small ones, and neither do small ones to
   large ones.
2. Nothing starves, because each batch takes its lane's oldest item: k is at most the number of
   items ahead.
3. With m structures in the large lane, a piece of one of them has at most m − 1 batches ahead, so
   that one of p pieces is done within p (2 (m − 1) + 5) M.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from itertools import islice
from typing import Generic, Protocol, TypeVar

from app.engine.budget import Budget, Cost

LOOK_AHEAD = 64
"""How many waiting items may be looked at past one that does not fit."""


def fill_batch(costs: Iterable[Cost], budget: Budget) -> list[int]:
    """Which of a lane's items make its next batch.

    The first one always goes, so that nothing starves; then, in order, each that still fits. A few
    items are looked at past one that does not fit, so that a large structure does not close a batch
    half empty.

    Args:
        costs: of the waiting items, oldest first.
        budget: the largest batch.

    Returns:
        Increasing indices; empty only if nothing waits.
    """
    taken: list[int] = []
    total, passed = Cost(0, 0), 0
    for index, cost in enumerate(costs):
        if len(taken) == budget.structures or passed == LOOK_AHEAD:
            break
        if taken and not budget.holds(total + cost):
            passed += 1
            continue
        taken.append(index)
        total += cost
    return taken


class Lane(IntEnum):
    """Where an item waits."""

    SMALL = 0
    LARGE = 1


def next_lane(waiting: Sequence[bool], spent: Sequence[float]) -> Lane:
    """The lane that makes the next batch: of those where something waits, the one that has had
    less.

    Args:
        waiting: of each lane, whether something waits in it; of at least one.
        spent: weight of the batches that each lane has had.
    """
    return min((lane for lane in Lane if waiting[lane]), key=lambda lane: spent[lane])


class Waiter(Protocol):
    """What can wait in a lane."""

    @property
    def cost(self) -> Cost:
        """What it takes of a batch."""
        ...

    @property
    def lane(self) -> Lane:
        """Where it waits."""
        ...

    @property
    def abandoned(self) -> bool:
        """Whether nobody wants its answer any more."""
        ...


W = TypeVar("W", bound=Waiter)


class Lanes(Generic[W]):
    """What waits, lane by lane, oldest first."""

    def __init__(self) -> None:
        self._lanes: tuple[deque[W], deque[W]] = (deque(), deque())
        self._spent = [0.0, 0.0]

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def add(self, items: Iterable[W]) -> None:
        """Let items wait, each at the end of its lane."""
        for item in items:
            lane = self._lanes[item.lane]
            if not lane:
                self._spent[item.lane] = max(
                    self._spent[item.lane], self._spent[1 - item.lane] - 1.0
                )
            lane.append(item)

    def clear(self) -> list[W]:
        """Take out everything that waits."""
        waiting = [item for lane in self._lanes for item in lane]
        for lane in self._lanes:
            lane.clear()
        return waiting

    def next(self, budget: Budget) -> list[W]:
        """Take out the next batch; empty if nothing waits. Abandoned items are dropped."""
        for lane in self._lanes:
            _drop_abandoned(lane)
        if not len(self):
            return []
        chosen = next_lane([bool(lane) for lane in self._lanes], self._spent)
        lane, horizon = self._lanes[chosen], budget.structures + LOOK_AHEAD
        batch = list(_pop(lane, fill_batch([item.cost for item in islice(lane, horizon)], budget)))
        self._spent[chosen] += budget.weight(sum((item.cost for item in batch), Cost(0, 0)))
        return batch


def _drop_abandoned(lane: deque[W]) -> None:
    if any(item.abandoned for item in lane):
        kept = [item for item in lane if not item.abandoned]
        lane.clear()
        lane.extend(kept)


def _pop(lane: deque[W], indices: list[int]) -> Iterator[W]:
    """Take the items at increasing indices out of a lane, whose others keep their order."""
    window = [lane.popleft() for _ in range(indices[-1] + 1)]
    chosen = set(indices)
    lane.extendleft(item for i, item in reversed(list(enumerate(window))) if i not in chosen)
    return (window[i] for i in indices)
