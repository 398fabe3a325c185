"""Many molecules as one set of atoms, evaluated together and without feeling each other."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graph, build_graphs
from app.atoms.structure import Structure
from app.backends import Backend
from app.errors import InputError

Array = NDArray[np.float64]


class Ensemble(Calculator):
    """B molecules, one after the other in an `Atoms`, each a structure of its own of a batch.

    Integrators of ASE move all of them at once. A molecule that cannot be evaluated any more, or
    that somebody stops, gets no forces from then on; the others go on.

    Args:
        backend: that evaluates.
        molecules: closed-shell, with their charges.

    Attributes:
        energies: (B,), eV, of the last evaluation; of a stopped molecule, the last that it had.
        stopped: why, by the index of the molecule.
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, backend: Backend, molecules: Sequence[Structure]) -> None:
        super().__init__()
        for molecule in molecules:
            backend.card.check(molecule)
            backend.card.check_electrons(molecule)
        self.backend, self.molecules = backend, list(molecules)
        self.energies = np.zeros(len(molecules))
        self.stopped: dict[int, str] = {}
        bounds = np.cumsum([0, *(len(molecule) for molecule in molecules)])
        self.slices = [slice(a, b) for a, b in pairwise(bounds.tolist())]

    @property
    def together(self) -> Atoms:
        """All atoms, with this calculator."""
        numbers = np.concatenate([molecule.numbers for molecule in self.molecules])
        positions = np.concatenate([molecule.positions for molecule in self.molecules])
        return Atoms(numbers, positions, calculator=self)

    def at(self, positions: Array) -> list[Structure]:
        """The molecules at positions (N, 3)."""
        return [
            replace(molecule, positions=positions[own])
            for molecule, own in zip(self.molecules, self.slices, strict=True)
        ]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Evaluate all that goes on; called by ASE."""
        super().calculate(atoms, properties, system_changes)
        forces = np.zeros((len(self.atoms), 3))
        structures, graph = self._evaluable(self.atoms.positions)
        if graph is not None:
            prediction = self.backend(graph)
            assert prediction.forces is not None
            first = 0
            for energy, (index, structure) in zip(
                prediction.energy, structures.items(), strict=True
            ):
                self.energies[index] = energy
                forces[self.slices[index]] = prediction.forces[first : first + len(structure)]
                first += len(structure)
        self.results: dict[str, Any] = {"energy": float(self.energies.sum()), "forces": forces}

    def _evaluable(self, positions: Array) -> tuple[dict[int, Structure], Graph | None]:
        """What goes on, by index, and its graph; what cannot be evaluated is stopped."""
        cutoff = self.backend.card.cutoff
        going = {
            index: structure
            for index, structure in enumerate(self.at(positions))
            if index not in self.stopped
        }
        try:
            return going, build_graphs(list(going.values()), cutoff) if going else None
        except InputError:
            for index, structure in going.items():
                self._try(index, structure, cutoff)
            return self._evaluable(positions)

    def _try(self, index: int, structure: Structure, cutoff: float) -> None:
        try:
            build_graph(structure, cutoff)
        except InputError as error:
            self.stopped[index] = str(error)
