"""How much is under way of a run over many structures, and how much there may be."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from app.engine.budget import Budget
from app.engine.limits import FALLBACK

BATCHES = 3.0
"""Batches of single points under way: one is evaluated, the next waits, a third is read or written.
"""
RELAXING = 1.0
"""Batches of relaxations under way: they are together in each evaluation. With more, the first ones
end later, and a run that is stopped has less.
"""
RELAXING_UNMEASURED = 0.25
"""The same on a CPU where nothing was measured; more than 16 molecules bring nothing there."""


@dataclass(slots=True)
class Load:
    """How many structures and atoms are somewhere."""

    structures: int = 0
    atoms: int = 0

    @classmethod
    def window(cls, budget: Budget, relaxes: bool, on_cpu: bool) -> "Load":
        """The most that may be under way.

        Args:
            budget: the largest batch.
            relaxes: whether structures are relaxed.
            on_cpu: where the model is evaluated.
        """
        unmeasured = on_cpu and budget.source == FALLBACK.source
        batches = (RELAXING_UNMEASURED if unmeasured else RELAXING) if relaxes else BATCHES
        return cls(math.ceil(batches * budget.structures), math.ceil(batches * budget.atoms))

    @classmethod
    def largest(cls, windows: Iterable["Load"]) -> "Load":
        """The most of several, of structures and of atoms."""
        each = list(windows)
        return cls(max(window.structures for window in each), max(window.atoms for window in each))

    def add(self, atoms: int) -> None:
        """One more."""
        self.structures += 1
        self.atoms += atoms

    def remove(self, atoms: int) -> None:
        """One less."""
        self.structures -= 1
        self.atoms -= atoms

    def below(self, window: "Load", times: int = 1) -> bool:
        """Whether one more may come: whatever is allowed at all may come alone."""
        return (
            self.structures < times * window.structures and self.atoms < times * window.atoms
        ) or not self.structures
