"""Budget: the largest batch, and what items take of one."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

LOOK_PAST = 64
"""How many items may be looked at past those that do not fit into a batch."""
LOWERED = "lowered, out of memory"
"""Source of a budget that a shortage of memory has made smaller."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one item takes of a batch, or what a batch takes in all."""

    atoms: int
    edges: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.atoms + other.atoms, self.edges + other.edges)


@dataclass(frozen=True, slots=True)
class Speed:
    """How long a batch lasts: seconds = base + atom · atoms + edge · edges.

    All zero where nothing is known.
    """

    base: float = 0.0
    atom: float = 0.0
    edge: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether anything was measured."""
        return bool(self.base or self.atom or self.edge)

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
        seconds: the longest batch of several items, as `speed` predicts it.
        longest: seconds of the longest batch of one item that is not cut.
        speed: of the model.
        capacity: most edges of a structure that goes alone because it cannot be cut for free;
            memory limits it.
        searched: most edges that one search for neighbours may find; memory limits it.
        source: where the budget comes from.
    """

    atoms: int
    edges: int
    structures: int
    seconds: float = math.inf
    longest: float = math.inf
    speed: Speed = Speed()
    capacity: float = math.inf
    searched: float = math.inf
    source: str = "setting"

    def __post_init__(self) -> None:
        if min(self.atoms, self.edges, self.structures) < 1:
            raise ValueError(f"a batch needs room for something: {self}")

    def holds(self, cost: Cost) -> bool:
        """Whether a batch of this cost is within the budget."""
        return (
            cost.atoms <= self.atoms
            and cost.edges <= self.edges
            and self.speed.seconds(cost) <= self.seconds
        )

    def goes_whole(self, cost: Cost, cuts_for_free: bool) -> bool:
        """Whether a structure of this cost goes whole, rather than in pieces.

        Where cutting costs nothing, a structure that alone would take longer than `longest` is cut,
        so that others get their turns in between. Where the halo of each piece is evaluated and
        dropped, it is cut only if memory does not bear it.
        """
        if not cuts_for_free:
            return self.is_piece(cost, cuts_for_free) or self.holds(cost)
        seconds = self.speed.seconds(cost)
        return cost.atoms <= self.atoms and cost.edges <= self.edges and seconds <= self.longest

    def is_piece(self, cost: Cost, cuts_for_free: bool) -> bool:
        """Whether a piece of this cost need not be cut further."""
        return self.holds(cost) if cuts_for_free else cost.edges <= self.capacity

    def weight(self, cost: Cost) -> float:
        """A batch in units of the longest one allowed; by its size where no speed is known."""
        if not self.speed.is_known or math.isinf(self.longest):
            return max(cost.atoms / self.atoms, cost.edges / self.edges)
        return self.speed.seconds(cost) / self.longest

    def lowered(self, failed: Cost) -> Self:
        """The budget after a batch did not fit: at most half of that batch, at least one atom."""
        return replace(
            self,
            atoms=max(1, min(self.atoms, failed.atoms // 2)),
            edges=max(1, min(self.edges, failed.edges // 2)),
            capacity=max(1, min(self.capacity, failed.edges // 2)),
            source=LOWERED,
        )


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
        if len(taken) == budget.structures or passed == LOOK_PAST:
            break
        if taken and not budget.holds(total + cost):
            passed += 1
            continue
        taken.append(index)
        total += cost
    return taken
