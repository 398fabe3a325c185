"""Doing tasks with any backend, a calculator of ASE's among them."""

import asyncio
from typing import Any

import numpy as np
from ase import Atoms

from app.atoms.structure import Structure
from app.backends import Backend
from app.engine.budget import Budget
from app.engine.potential import Potential, PotentialOptions
from app.formats.topology import Topology
from app.relax import Safeguards
from app.tasks import TASKS, WHOLE, Asking, Chemist, Course, Done

MOST_ATOMS = 20_000
"""Of one structure."""


def done(backend: Backend, task: str, structure: Structure, **options: Any) -> Done:
    """What a task finds for one structure, with options as those of `done_all`; raises its error."""
    return done_all(backend, task, [structure], **options)[0]


def done_all(
    backend: Backend,
    task: str,
    structures: list[Structure],
    most: int = 3000,
    topology: Topology | None = None,
    chemist: Chemist | None = None,
    allow_odd_electrons: bool = False,
    course: Course = WHOLE,
    **options: Any,
) -> list[Done]:
    """The same of several, side by side."""
    kind = TASKS[task]

    async def main() -> list[Done]:
        potential = Potential(
            backend, "", Budget(4096, 10**6, 64), PotentialOptions(max_atoms=MOST_ATOMS)
        )
        potential.start()
        asking = Asking(
            potential,
            None,
            Safeguards(max_evaluations=most),
            course=course,
            topology=topology,
            chemist=chemist,
            allow_odd_electrons=allow_odd_electrons,
        )
        asked = kind.options(**options)
        try:
            with potential.admission.admit(len(structures), 1):
                return await asyncio.gather(*(kind.run(asking, s, asked) for s in structures))
        finally:
            await potential.stop()

    return asyncio.run(main())


def structure_of(atoms: Atoms, fixed: list[int] | None = None, **state: Any) -> Structure:
    held = None
    if fixed is not None:
        held = np.isin(np.arange(len(atoms)), fixed)
    cell, pbc = np.array(atoms.cell), np.array(atoms.pbc)
    return Structure(atoms.numbers, atoms.positions, cell, pbc, fixed=held, **state)


def atoms_of(structure: Structure) -> Atoms:
    return Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
