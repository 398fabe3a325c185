"""Turns: what waits in one lane, such that its callers take turns.

Fair queueing with equal shares, by start tags (Goyal, Vin, Cheng, IEEE/ACM Trans. Netw. 5, 690
(1997)): a caller's tag is the weight of what it has been given, and the item that goes is the
oldest one of the caller with the least tag. What has an equal share of all that was given away
would be at the *level*; a caller that comes, or comes back, starts there, or at its own tag where
that is larger. The level rises with each batch by its weight over the number of callers, so that
no stream of new callers keeps an old one waiting, and to the least tag of those who wait at least.

Tags of those who wait lie about the level: whoever goes in turn had the least tag, and is ahead of
the least by one item at most, of weight w. So if a caller comes with items of weight d before some
item of its own, then before it go, of each other caller, items that start between that caller's tag
and the level + d: of weight d + 2 w at most. What does not fit into the room that a batch has left
is passed over for others, which are charged for it, and do not delay it: that batch went without it
in any case.

Where a turn of all callers lasts for many batches, a newcomer waits for it however small they are,
and larger ones, which cost less an item, make it shorter: a batch may last a fourth of a turn, and
no longer than `Budget.longest`. One caller with a thousand items makes a turn of one of them, so that
beside bulk alone batches stay short.
"""

import heapq
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Generic, Protocol, TypeVar

from app.engine.budget import LOOK_PAST, Budget, Cost, fill_batch

BATCHES_OF_A_TURN = 4
"""As many at least, of those that are made longer."""
FORGET = 256
"""Tags of callers who have nothing waiting that are kept before the outdated ones are dropped."""


class Waiter(Protocol):
    """What can wait."""

    @property
    def cost(self) -> Cost:
        """What it takes of a batch."""
        ...

    @property
    def caller(self) -> Hashable:
        """For whom it is evaluated."""
        ...

    @property
    def abandoned(self) -> bool:
        """Whether nobody wants its answer any more."""
        ...


W = TypeVar("W", bound=Waiter)


class Turns(Generic[W]):
    """What waits, caller by caller, each one's oldest first."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[W]] = {}
        self._tags: dict[Hashable, float] = {}
        self._level = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def known(self) -> int:
        """Callers whose tags are kept."""
        return len(self._tags)

    def add(self, item: W) -> None:
        """Let an item wait behind the others of its caller."""
        if item.caller not in self._queues:
            self._queues[item.caller] = deque()
            self._tags[item.caller] = max(self._tags.get(item.caller, 0.0), self._level)
        self._queues[item.caller].append(item)

    def clear(self) -> list[W]:
        """Take out everything."""
        waiting = [item for queue in self._queues.values() for item in queue]
        self._queues.clear()
        return waiting

    def drop_abandoned(self) -> None:
        """Take out what nobody wants any more."""
        for caller, queue in list(self._queues.items()):
            if any(item.abandoned for item in queue):
                kept = deque(item for item in queue if not item.abandoned)
                self._replace(caller, kept)

    def next_batch(self, budget: Budget) -> list[W]:
        """Take out the next batch, of at least one item that waits."""
        budget = self._stretched(budget)
        window = list(islice(self._in_turn(budget), budget.structures + LOOK_PAST))
        chosen = [window[i] for i in fill_batch([item.cost for item, _ in window], budget)]
        self._level += sum(weight for _, weight in chosen) / len(self._queues)
        for item, weight in chosen:
            self._tags[item.caller] += weight
        self._remove([item for item, _ in window], {id(item) for item, _ in chosen})
        least = min((self._tags[caller] for caller in self._queues), default=0.0)
        self._level = max(self._level, least)
        self._forget()
        return [item for item, _ in chosen]

    def _stretched(self, budget: Budget) -> Budget:
        """As long as many callers bear."""
        if len(self._queues) <= BATCHES_OF_A_TURN:
            return budget
        turn = sum((queue[0].cost for queue in self._queues.values()), Cost(0, 0))
        seconds = min(budget.speed.seconds(turn) / BATCHES_OF_A_TURN, budget.longest)
        return replace(budget, seconds=max(budget.seconds, seconds))

    def _in_turn(self, budget: Budget) -> Iterator[tuple[W, float]]:
        """All that waits and what it is charged, in the order in which it would go if all fitted."""
        if len(self._queues) == 1:
            (queue,) = self._queues.values()
            yield from ((item, budget.weight(item.cost)) for item in queue)
            return
        order = count()
        heap = [
            (self._tags[caller], next(order), iter(queue)) for caller, queue in self._queues.items()
        ]
        heapq.heapify(heap)
        while heap:
            tag, number, items = heap[0]
            if (item := next(items, None)) is None:
                heapq.heappop(heap)
                continue
            weight = budget.weight(item.cost)
            heapq.heapreplace(heap, (tag + weight, number, items))
            yield item, weight

    def _remove(self, window: list[W], taken: set[int]) -> None:
        """Take some of the items of a window out of their queues, which keep their order."""
        looked_at: dict[Hashable, list[W]] = {}
        for item in window:
            looked_at.setdefault(item.caller, []).append(item)
        for caller, items in looked_at.items():
            queue = self._queues[caller]
            for _ in items:
                queue.popleft()
            queue.extendleft(item for item in reversed(items) if id(item) not in taken)
            self._replace(caller, queue)

    def _replace(self, caller: Hashable, queue: deque[W]) -> None:
        if queue:
            self._queues[caller] = queue
        else:
            del self._queues[caller]

    def _forget(self) -> None:
        """Drop tags that say nothing any more: of callers who would start at the level."""
        if len(self._tags) > 2 * len(self._queues) + FORGET:
            self._tags = {
                caller: tag
                for caller, tag in self._tags.items()
                if caller in self._queues or tag > self._level
            }
