"""Which of the waiting items make the next batch: a policy on predicted cost, as pure functions.

There are two lanes. What fits into a batch waits in the *small* lane. What does not waits in the
*large* lane: whole where `Budget.goes_whole`, otherwise in pieces that fit into a batch
(`app.atoms.decomposition`), of which one at a time is in the lane. Whole goes what alone takes no
longer than `Budget.longest`, and what memory bears where cutting is not free; steps of relaxations
always do. Within a lane, callers take turns (`app.engine.turns`), and of each caller the oldest
item goes first, with whatever else fits. Between the lanes, the one that has had less of the
backend goes: each is charged the weight of its batches, in units of the longest one allowed, and
one that was empty may be behind the other by one unit at most. A caller is a request, or a key
where those who ask have keys: a thousand structures in one request are one caller's.

Let M be the weight of the heaviest batch: M <= 1 as far as predictions hold, unless an item can
neither go within the limits nor be cut. The lane that goes is the one behind or level, so that
afterwards it is ahead by no more than its batch: the lanes are never further apart than M or 1, and
between two moments one of them gets at most 2 M more than the other while both have something
waiting. Take an item that has k batches of its own lane ahead, none heavier than S. Later items of
its own caller never change k, since they only get what it and those before it leave over; they may
fill a batch up.

Items that want energies alone are charged as the others, though they may take less. Where a batch
has both kinds, they are evaluated in a call of their own, so that it may last longer than predicted
by a second `Speed.base`, and no more.

1. It waits for k S in its own lane, at most k S + 2 M in the other one, and at most 2 M for the two
   batches that were running when it came: in all 2 k S + 4 M, or twice what it would wait if the
   other lane were empty, and four times the longest batch (`EQUIPOT_BATCH_SECONDS`). One large
   structure or a thousand, of any size, do no more to small ones, and neither do small ones to
   large ones.
2. Of F callers with something in the lane, let d be the weight of an item's own caller's items
   before it, and w that of the heaviest item. What goes before it in its lane is at most
   d + (F − 1) (d + 2 w), besides what fills up batches that go without it in any case. Another
   caller's bulk, whatever its size, so costs it no more than what it waits for itself and two
   items: beside one, its wait at most doubles; and a single structure beside F − 1 callers goes
   after two items of each at most, many of which share a batch.
3. Nothing starves: each batch takes its lane's first item in turn, and the level at which new
   callers start rises with each batch.
4. With m structures of one caller in the large lane, a piece of one of them has at most m − 1
   batches of its caller ahead, so that beside no other caller one of p pieces is done within
   p (2 (m − 1) + 5) M.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

from app.engine.budget import Budget, Cost
from app.engine.turns import Turns, Waiter


class Lane(IntEnum):
    """Where an item waits."""

    SMALL = 0
    LARGE = 1


def next_lane(waiting: Sequence[bool], spent: Sequence[float]) -> Lane:
    """The lane of the next batch: of those where something waits, the one that had less.

    Args:
        waiting: of each lane, whether something waits in it; of at least one.
        spent: weight of the batches that each lane has had.
    """
    return min((lane for lane in Lane if waiting[lane]), key=lambda lane: spent[lane])


class LaneWaiter(Waiter, Protocol):
    """What can wait in a lane."""

    @property
    def lane(self) -> Lane:
        """Where it waits."""
        ...


W = TypeVar("W", bound=LaneWaiter)


class Lanes(Generic[W]):
    """What waits, lane by lane."""

    def __init__(self) -> None:
        self._lanes: tuple[Turns[W], Turns[W]] = (Turns(), Turns())
        self._spent = [0.0, 0.0]

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def add(self, items: Iterable[W]) -> None:
        """Let items wait, each in its lane behind the others of its caller."""
        for item in items:
            lane = self._lanes[item.lane]
            if not len(lane):
                self._spent[item.lane] = max(
                    self._spent[item.lane], self._spent[1 - item.lane] - 1.0
                )
            lane.add(item)

    def clear(self) -> list[W]:
        """Take out everything that waits."""
        return [item for lane in self._lanes for item in lane.clear()]

    def next_batch(self, budget: Budget) -> list[W]:
        """Take out the next batch; empty if nothing waits. Abandoned items are dropped."""
        for lane in self._lanes:
            lane.drop_abandoned()
        waiting = [bool(len(lane)) for lane in self._lanes]
        if not any(waiting):
            return []
        chosen = next_lane(waiting, self._spent)
        batch = self._lanes[chosen].next_batch(budget)
        self._spent[chosen] += budget.weight(sum((item.cost for item in batch), Cost(0, 0)))
        return batch
