"""A calculator of ASE's in the place of a model, so that tasks are compared with others on the same energies."""

import threading
from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import chemical_symbols

from app.atoms.graph import Graph, separate
from app.atoms.prediction import Prediction
from app.atoms.structure import Floats
from app.backends.pair import PairBackend
from app.store.card import ModelCard


class Oracle(PairBackend):
    """Calculators of ASE's as a backend: a new one for each structure, one after the other.

    Args:
        card: of a model of pairs, of which it has all but the elements.
        calculator: makes one.
    """

    def __init__(self, card: ModelCard, calculator: Callable[[], Calculator]) -> None:
        known = {s: next(iter(card.pair.values())) for s in chemical_symbols[1:87]}
        super().__init__(card.model_copy(update={"elements": tuple(known), "pair": known}))
        self._calculator, self._lock = calculator, threading.Lock()

    def __call__(self, graph: Graph) -> Prediction:
        with self._lock:
            parts = [self._one(each) for each in separate(graph)]
        energies, forces, stress = zip(*parts, strict=True)
        shares = [np.full(len(f), e / len(f)) for e, f in zip(energies, forces, strict=True)]
        return Prediction(
            np.array(energies), np.concatenate(shares), np.concatenate(forces), np.array(stress)
        )

    def energies(self, graph: Graph) -> Prediction:
        """The same: calculators have no quicker way."""
        return self(graph)

    def _one(self, graph: Graph) -> tuple[float, Floats, Floats]:
        atoms = Atoms(graph.numbers, graph.positions, cell=graph.cell[0], pbc=graph.pbc[0])
        atoms.calc = self._calculator()
        stress = np.full((3, 3), np.nan)
        if atoms.pbc.all():
            stress = atoms.get_stress(voigt=False)
        return atoms.get_potential_energy(), atoms.get_forces(), stress
