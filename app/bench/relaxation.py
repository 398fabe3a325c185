"""Relaxations in flight: how many a second, and how much of the time the backend is at work."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.atoms.structure import Structure
from app.backends import Backend
from app.bench.samples import Sample
from app.engine.budget import Budget
from app.engine.potential import Potential, PotentialOptions
from app.errors import EquipotError
from app.relax import Relaxed, RelaxOptions, relax
from app.store.card import ModelCard


class Timed:
    """A backend that counts the atoms evaluated, and the seconds with some thread in it."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.seconds = 0.0
        self.atoms = 0
        self._inside, self._since = 0, 0.0
        self._lock = threading.Lock()

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self.backend.card

    @property
    def runtime(self) -> str:
        """Of the backend."""
        return self.backend.runtime

    @property
    def is_strictly_local(self) -> bool:
        """As of the backend."""
        return self.backend.is_strictly_local

    def __call__(self, graph: Graph) -> Prediction:
        """Evaluate, and count."""
        return self._timed(self.backend, graph)

    def energies(self, graph: Graph) -> Prediction:
        """Energies alone, timed as well."""
        return self._timed(self.backend.energies, graph)

    def _timed(self, evaluate: Callable[[Graph], Prediction], graph: Graph) -> Prediction:
        self._pass(+1)
        try:
            return evaluate(graph)
        finally:
            self._pass(-1, len(graph.numbers))

    def _pass(self, way: int, atoms: int = 0) -> None:
        with self._lock:
            now = time.perf_counter()
            if self._inside:
                self.seconds += now - self._since
            self._inside += way
            self._since = now
            self.atoms += atoms


@dataclass(frozen=True, slots=True)
class RelaxSpeed:
    """Relaxations of which so many were always in flight, until the last ones ended.

    Attributes:
        in_flight: at the same time.
        relaxations: that ended.
        converged: that reached the limit of the forces.
        steps: mean number of a relaxation.
        seconds: of all.
        rate: relaxations a second.
        atom_steps: atoms times evaluations a second.
        backend_share: of the time, inside the backend.
    """

    in_flight: int
    relaxations: int
    converged: int
    steps: float
    seconds: float
    rate: float
    atom_steps: float
    backend_share: float


def relax_all(
    backend: Backend,
    structures: Iterable[Structure],
    options: RelaxOptions,
    in_flight: int,
    budget: Budget,
) -> list[Relaxed | EquipotError]:
    """Relax structures, so many at a time; what became of each, in their order."""

    async def main() -> dict[int, Relaxed | EquipotError]:
        potential = Potential(backend, "", budget, PotentialOptions())
        potential.start()
        left = enumerate(structures)
        ended: dict[int, Relaxed | EquipotError] = {}

        async def one_after_another() -> None:
            for index, structure in left:
                try:
                    with potential.admission.admit(1, len(structure)):
                        ended[index] = await relax(potential, structure, options)
                except EquipotError as error:
                    ended[index] = error

        try:
            await asyncio.gather(*(one_after_another() for _ in range(in_flight)))
        finally:
            await potential.stop()
        return ended

    ended = asyncio.run(main())
    return [ended[index] for index in sorted(ended)]


def relax_speed(
    backend: Backend,
    sample: Sample,
    options: RelaxOptions,
    in_flight: int,
    budget: Budget,
    seconds: float,
) -> RelaxSpeed:
    """Relax a sample again and again.

    At least `in_flight` relaxations are made, and none begins after `seconds`.

    Raises:
        EquipotError: the first one that a relaxation gave.
    """
    timed = Timed(backend)
    began = time.perf_counter()
    outcomes = relax_all(
        timed, _until(began + seconds, sample, in_flight), options, in_flight, budget
    )
    taken = time.perf_counter() - began
    ended = []
    for result in outcomes:
        if isinstance(result, EquipotError):
            raise result
        ended.append(result)
    return RelaxSpeed(
        in_flight=in_flight,
        relaxations=len(ended),
        converged=sum(relaxed.converged for relaxed in ended),
        steps=sum(relaxed.steps for relaxed in ended) / len(ended),
        seconds=taken,
        rate=len(ended) / taken,
        atom_steps=timed.atoms / taken,
        backend_share=timed.seconds / taken,
    )


def _until(end: float, sample: Sample, least: int) -> Iterator[Structure]:
    for index in count():
        if index >= least and time.perf_counter() >= end:
            return
        yield sample.structures[index % len(sample.structures)]
