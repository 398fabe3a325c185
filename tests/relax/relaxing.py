"""Structures of argon, and where their relaxations end."""

import asyncio
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.optimize import FIRE, LBFGS

from app.atoms.structure import Structure
from app.backends import Backend
from app.engine.budget import Budget
from app.engine.potential import Potential, PotentialOptions
from app.relax import Relaxed, RelaxOptions, Safeguards, relax

SAFEGUARDS = Safeguards()
ASE = {"fire": FIRE, "lbfgs": LBFGS}
"""ASE's own optimisers by our names."""
MILLI = 1e-3
"""eV, by which two relaxations of one structure may differ in the end."""


def cluster(atoms: int, seed: int) -> Atoms:
    rng = np.random.default_rng(seed)
    grid = 3.8 * np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3)
    return Atoms(f"Ar{atoms}", grid[:atoms] + rng.uniform(-0.3, 0.3, (atoms, 3)))


def strained_crystal() -> Atoms:
    crystal = bulk("Ar", cubic=True, a=5.4) * (2, 2, 2)
    strain = np.array([[0.03, 0.02, 0.0], [0.0, -0.02, 0.01], [0.01, 0.0, 0.04]])
    crystal.set_cell(crystal.cell @ (np.eye(3) + strain), scale_atoms=True)
    crystal.rattle(0.05, seed=1)
    return crystal


def relaxed(
    backend: Backend,
    structures: Sequence[Structure],
    options: RelaxOptions,
    safeguards: Safeguards = SAFEGUARDS,
) -> list[Relaxed]:
    return relaxed_each(backend, [(structure, options) for structure in structures], safeguards)


def relaxed_each(
    backend: Backend,
    wanted: Sequence[tuple[Structure, RelaxOptions]],
    safeguards: Safeguards = SAFEGUARDS,
) -> list[Relaxed]:
    async def main() -> list[Relaxed]:
        potential = Potential(backend, "", Budget(4096, 10**6, 64), PotentialOptions())
        potential.start()
        try:
            with potential.admission.admit(len(wanted), 1):
                return await asyncio.gather(
                    *(relax(potential, s, options, safeguards) for s, options in wanted)
                )
        finally:
            await potential.stop()

    return asyncio.run(main())
