"""Which of the waiting items make the next batch: a policy on predicted cost, as pure functions.

There are two lanes. What fits into a batch waits in the *small* lane. What does not is cut into pieces that do
(`app.pieces`); they wait in the *large* lane, where a structure has at most one piece at a time, and joins the end
of the lane again after each. While something waits in both lanes, they take turns; within a lane, the oldest goes
first, with whatever else fits.

Let T be the longest batch, so that T <= `Budget.seconds` as far as predictions hold; the only batches beyond it are
those of one item that could not be cut. Take an item that would go with the k-th batch of its lane from now on if
the other lane were empty. Then:

1. It goes with one of the next 2 k batches at the latest, whatever comes into either lane meanwhile: later items
   of its own lane only get what it and those before it leave over, and the other lane has every second turn. With
   the batch that is running when it comes, it waits at most 2 k T.
2. Nothing starves, because k is at most one more than the number of items ahead of it.
3. One large structure or a thousand of them, however large, at most double the wait of small ones, and the other
   way round.
4. With m structures in the large lane, one of p pieces is done after at most 2 m p batches.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import islice
from typing import Generic, Protocol, Self, TypeVar

LOOK_AHEAD = 64
"""How many waiting items may be looked at past one that does not fit."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one item takes of a batch, or what a batch takes in all."""

    atoms: int
    edges: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.atoms + other.atoms, self.edges + other.edges)


@dataclass(frozen=True, slots=True)
class Speed:
    """How long a batch lasts: seconds = base + atom · atoms + edge · edges. All zero where nothing is known."""

    base: float = 0.0
    atom: float = 0.0
    edge: float = 0.0

    def seconds(self, cost: Cost) -> float:
        """The predicted duration of a batch."""
        return self.base + self.atom * cost.atoms + self.edge * cost.edges


@dataclass(frozen=True, slots=True)
class Budget:
    """The largest batch.

    Attributes:
        atoms: most atoms.
        edges: most edges.
        structures: most structures.
        seconds: the longest batch, as `speed` predicts it.
        speed: of the model.
        capacity: most edges of a structure that goes alone because it cannot be cut for free; memory limits it.
    """

    atoms: int
    edges: int
    structures: int
    seconds: float = math.inf
    speed: Speed = Speed()
    capacity: float = math.inf

    def holds(self, cost: Cost) -> bool:
        """Whether a batch of this cost is within the budget."""
        return cost.atoms <= self.atoms and cost.edges <= self.edges and self.speed.seconds(cost) <= self.seconds

    def lowered(self, failed: Cost) -> Self:
        """The budget after a batch did not fit into memory: at most half of that batch, at least one atom."""
        return replace(
            self,
            atoms=max(1, min(self.atoms, failed.atoms // 2)),
            edges=max(1, min(self.edges, failed.edges // 2)),
            capacity=max(1, min(self.capacity, failed.edges // 2)),
        )


def take(costs: Iterable[Cost], budget: Budget) -> list[int]:
    """Which of a lane's items make its next batch.

    The first one always goes, so that nothing starves; then, in order, each that still fits. A few items are
    looked at past one that does not fit, so that a large structure does not close a batch half empty.

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


def turn(waiting: Sequence[bool], last: Lane) -> Lane:
    """The lane that makes the next batch.

    Args:
        waiting: of each lane, whether something waits in it; of at least one.
        last: the lane that made the last batch.
    """
    other = Lane(1 - last)
    return other if waiting[other] else last


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
        self._last = Lane.LARGE

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def add(self, items: Iterable[W]) -> None:
        """Let items wait, each at the end of its lane."""
        for item in items:
            self._lanes[item.lane].append(item)

    def next(self, budget: Budget) -> list[W]:
        """Take out the next batch; empty if nothing waits. Abandoned items are dropped."""
        for lane in self._lanes:
            _drop_abandoned(lane)
        if not len(self):
            return []
        self._last = turn([bool(lane) for lane in self._lanes], self._last)
        chosen = self._lanes[self._last]
        horizon = budget.structures + LOOK_AHEAD
        return list(_pop(chosen, take([item.cost for item in islice(chosen, horizon)], budget)))


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
