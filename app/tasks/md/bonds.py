"""Bonds of a replica as it began, and whether they hold."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii

from app.atoms.graph import Graph
from app.atoms.structure import Floats, Integers
from app.relax.bonds import APART, BONDED

BINDING = np.array(
    [atomic_numbers[s] for s in ["H", "B", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I"]]
)
"""Elements between which bonds are looked at: those of molecules, and of molecular ions in crystals."""


@dataclass(frozen=True, slots=True, eq=False)
class Bonds:
    """M bonds.

    Attributes:
        pairs: (2, M), their atoms.
        shifts: (M, 3), Å, lattice translations of the second one.
        longest: (M,), Å; longer ones are broken.
        numbers: (N,), of all atoms.
    """

    pairs: Integers
    shifts: Floats
    longest: Floats
    numbers: Integers

    @classmethod
    def of(cls, graph: Graph) -> Self:
        """Those of one structure's graph, by its covalent radii."""
        first, second = graph.edge_index
        vectors = graph.edge_vectors()
        radii = covalent_radii[graph.numbers]
        usual = radii[first] + radii[second]
        binding = np.isin(graph.numbers, BINDING)
        bonded = np.linalg.norm(vectors, axis=1) < BONDED * usual
        bonded &= binding[first] & binding[second]
        bonded &= np.arange(len(first)) <= graph.edge_reverse  # each pair once
        shifts = graph.edge_shift[bonded] @ graph.cell[0]
        return cls(graph.edge_index[:, bonded], shifts, APART * usual[bonded], graph.numbers)

    def broken(self, positions: Floats, scale: float = 1.0) -> str:
        """What broke, at positions (N, 3) in Å that are not wrapped, in a cell whose lengths grew by a
        factor; empty where nothing did.
        """
        first, second = self.pairs
        lengths = np.linalg.norm(positions[second] + scale * self.shifts - positions[first], axis=1)
        broken = np.flatnonzero(lengths > self.longest)
        if not len(broken):
            return ""
        worst = broken[np.argmax(lengths[broken] / self.longest[broken])]
        i, j = self.pairs[:, worst].tolist()
        return (
            f"the bond between atom {i} ({chemical_symbols[self.numbers[i]]}) and atom {j} "
            f"({chemical_symbols[self.numbers[j]]}) broke, at {lengths[worst]:.3g} Å"
        )
