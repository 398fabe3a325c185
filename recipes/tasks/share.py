"""What each task costs: evaluations, processor time, and how much of it is spent in the model.

    OMP_NUM_THREADS=1 python -m recipes.tasks.share

Molecules by the bundled `organic-xtb`, crystals by the bundled pair model `lennard-jones`, in one process without
a service. The model alone is given the same batches again. Time of RDKit, which has a process of its own, does not
count.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.atoms.structure import Structure
from app.backends import Backend, load_backend
from app.bench.aspirin import ASPIRIN
from app.engine.budget import Budget
from app.engine.potential import Potential, PotentialOptions
from app.formats.smiles import Embedder
from app.relax import Safeguards
from app.store.location import default_store, open_store
from app.tasks import TASKS, Asking

COPIES = 64
"""Structures of a batch."""
PATIENCE = 120.0
"""Seconds that RDKit may take."""


class Case(NamedTuple):
    """What is asked.

    Attributes:
        task: its name.
        what: of what, in words.
        structures: side by side.
        options: of the task.
        model: which answers.
    """

    task: str
    what: str
    structures: list[Structure]
    options: dict[str, Any]
    model: str = "organic-xtb"


@dataclass(slots=True)
class Noted:
    """A backend that keeps what it is asked."""

    backend: Backend
    asked: list[tuple[Callable[[Graph], Prediction], Graph]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def __call__(self, graph: Graph) -> Prediction:
        self.asked.append((self.backend, graph))
        return self.backend(graph)

    def energies(self, graph: Graph) -> Prediction:
        """As the backend's."""
        self.asked.append((self.backend.energies, graph))
        return self.backend.energies(graph)

    def again(self) -> int:
        """Ask the same batches of the model alone; how many structures these are."""
        return sum(len(ask(graph).energy) for ask, graph in self.asked)


def main() -> None:
    """Measure and print."""
    store = open_store(default_store())
    backends = {n: load_backend(store.load(n), 1) for n in ("organic-xtb", "lennard-jones")}
    print(
        "| | of | evaluations | s of processor time | ms an evaluation | in the model |\n"
        "|---|---|---|---|---|---|"
    )
    with closing(Embedder()) as embedder:
        for case in cases():
            do(backends[case.model], embedder, case)  # so that all libraries are loaded
            noted = Noted(backends[case.model])
            began = time.process_time()
            do(cast(Backend, noted), embedder, case)
            taken, began = time.process_time() - began, time.process_time()
            evaluations = noted.again()
            share = 100 * (time.process_time() - began) / taken
            row = (
                f"| {evaluations} | {taken:.2f} | {1e3 * taken / evaluations:.2f} | {share:.0f} % |"
            )
            print(f"| `{case.task}` | {case.what} {row}", flush=True)


def cases() -> Iterator[Case]:
    """One of each task."""
    ethanol, ammonia, argon = molecule("CH3CH2OH"), molecule("NH3"), bulk("Ar", a=5.3, cubic=True)
    inverted = ammonia.copy()
    inverted.positions[0, 2] = 2 * ammonia.positions[1, 2] - ammonia.positions[0, 2]
    end = {"symbols": inverted.get_chemical_symbols(), "positions": inverted.positions.tolist()}
    aspirin = Atoms([row[0] for row in ASPIRIN], [row[1:] for row in ASPIRIN])
    yield Case("thermo", "aspirin", [structure_of(aspirin)], {})
    yield Case("conformers", "ethanol, 50 geometries", [structure_of(ethanol)], {})
    turn = {"atoms": [0, 1, 2, 3]}
    yield Case("scan", "butane, a whole turn", [structure_of(molecule("trans-butane"))], turn)
    bonds = {"difference": "bond_dissociation"}
    yield Case("energies-of", "ethanol, its bonds", [structure_of(ethanol)], bonds)
    for task in ("eos", "elastic", "phonons"):
        yield Case(task, "argon, 4 atoms", [structure_of(argon)], {}, "lennard-jones")
    moving = {"replicas": COPIES, "steps": 40, "temperatures_K": [300.0]}
    yield Case("md", f"ethanol, {COPIES} replicas", [structure_of(ethanol)], moving)
    path = {"ends": [end], "path_fmax_eV_per_A": 1e-3, "path_steps": 40}
    yield Case("neb", "ammonia, 16 paths at once", [structure_of(ammonia)] * 16, path)


def structure_of(atoms: Atoms) -> Structure:
    """Atoms, as the engine has them."""
    return Structure(atoms.numbers, atoms.positions, np.array(atoms.cell), np.array(atoms.pbc))


def do(backend: Backend, embedder: Embedder, case: Case) -> None:
    """Do a task for structures, side by side."""
    kind = TASKS[case.task]

    async def chemist(question: Mapping[str, Any], what: str) -> dict[str, Any]:
        return await asyncio.to_thread(embedder.ask, question, what, PATIENCE)

    async def main() -> None:
        potential = Potential(backend, "", Budget(4096, 10**6, COPIES), PotentialOptions())
        potential.start()
        asking = Asking(potential, None, Safeguards(), chemist=chemist, allow_odd_electrons=True)
        options = kind.options(**case.options)
        with potential.admission.admit(len(case.structures), 1):
            await asyncio.gather(*(kind.run(asking, s, options) for s in case.structures))
        await potential.stop()

    asyncio.run(main())


if __name__ == "__main__":
    main()
