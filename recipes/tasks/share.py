"""How much of the processor time of `md` and `neb` is spent in the model.

    OMP_NUM_THREADS=1 python -m recipes.tasks.share

64 replicas of ethanol, and 16 paths of ammonia at once, by the bundled `organic-xtb`, in one process without a
service. The model alone is given the same structures in batches as large, without making their graphs.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from ase import Atoms
from ase.build import molecule

from app.atoms.graph import Graph, collate
from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure
from app.backends import Backend, load_backend
from app.engine.budget import Budget
from app.engine.potential import Potential, PotentialOptions
from app.relax import Safeguards
from app.store.location import default_store, open_store
from app.tasks import TASKS, Asking

COPIES = 64
T = TypeVar("T")


def main() -> None:
    """Measure and print."""
    backend = load_backend(open_store(default_store()).load("organic-xtb"), threads=1)
    ethanol, ammonia = molecule("CH3CH2OH"), molecule("NH3")
    inverted = ammonia.copy()
    inverted.positions[0, 2] = 2 * ammonia.positions[1, 2] - ammonia.positions[0, 2]
    end = {"symbols": inverted.get_chemical_symbols(), "positions": inverted.positions.tolist()}
    path: dict[str, Any] = {"ends": [end], "path_fmax_eV_per_A": 1e-3, "path_steps": 40}
    print(
        "| | evaluations | ms of processor time an evaluation | in the model |\n|---|---|---|---|"
    )
    for name, atoms, count, options in (
        ("md", ethanol, 1, {"replicas": COPIES, "steps": 40, "temperatures_K": [300.0]}),
        ("neb", ammonia, 16, path),
    ):
        structures = [structure_of(atoms)] * count
        values, taken = processor_time(partial(done, backend, name, structures, options))
        evaluations = sum(value.evaluations for value in values)
        graph = collate([build_graph(structures[0], backend.card.cutoff)] * COPIES)
        _, alone = processor_time(partial(repeated, backend, graph, evaluations // COPIES))
        each = 1e3 * taken / evaluations
        print(
            f"| `{name}` | {evaluations} | {each:.2f} | {100 * alone / taken:.0f} % |", flush=True
        )


def repeated(backend: Backend, graph: Graph, times: int) -> None:
    """Ask the model alone, again and again."""
    for _ in range(times):
        backend(graph)


def structure_of(atoms: Atoms) -> Structure:
    """Atoms, as the engine has them."""
    return Structure(atoms.numbers, atoms.positions, np.array(atoms.cell), np.array(atoms.pbc))


def processor_time(work: Callable[[], T]) -> tuple[T, float]:
    """What some work gives, and the s that it took, of all threads."""
    began = time.process_time()
    given = work()
    return given, time.process_time() - began


def done(
    backend: Backend, name: str, structures: list[Structure], options: dict[str, Any]
) -> list[Any]:
    """What a task finds for structures, side by side."""
    kind = TASKS[name]

    async def main() -> list[Any]:
        potential = Potential(backend, "", Budget(4096, 10**6, COPIES), PotentialOptions())
        potential.start()
        asking = Asking(potential, None, Safeguards())
        with potential.admission.admit(len(structures), 1):
            runs = (kind.run(asking, each, kind.options(**options)) for each in structures)
            found = await asyncio.gather(*runs)
        await potential.stop()
        return [each.value for each in found]

    return asyncio.run(main())


if __name__ == "__main__":
    main()
