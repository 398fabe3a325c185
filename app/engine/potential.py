"""Potential: a model ready to answer, the one thing that routes, relaxations and the command line
call.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from app.atoms.graph import Graph
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.backends import Backend, load_backend
from app.backends.device import BackendChoice
from app.backends.synthetic import lattice_piece
from app.engine.admission import Bound
from app.engine.batcher import Batcher
from app.engine.calibration import Place
from app.engine.limits import Cache, Limits, measured
from app.engine.observer import Observer
from app.engine.scheduler import Budget
from app.engine.task import Task
from app.errors import StructureTooLarge
from app.machine import worker_threads
from app.store.card import ModelCard
from app.store.store import StoredModel


class Potential:
    """A model of the store behind its own queue and worker.

    Attributes:
        card: what the model is.
        digest: sha256 of the card, which holds those of all files.
    """

    def __init__(
        self,
        backend: Backend,
        digest: str,
        budget: Budget,
        bound: Bound,
        max_atoms: int,
        max_edges: int,
        observer: Observer | None = None,
        measurement: Iterator[Budget | None] | None = None,
    ) -> None:
        self.card: ModelCard = backend.card
        self.digest = digest
        self._max_atoms = max_atoms
        self._backend = backend
        self._batcher = Batcher(backend, budget, bound, max_edges, observer)
        self._measurement = measurement

    @property
    def budget(self) -> Budget:
        """The largest batch, as it is now."""
        return self._batcher.budget

    @property
    def reference(self) -> str:
        """`name@version`."""
        return f"{self.card.name}@{self.card.version}"

    @property
    def runs_on(self) -> str:
        """Name and version of what computes."""
        return self._backend.runtime

    @property
    def depth(self) -> int:
        """Structures that wait for their batch."""
        return self._batcher.depth

    def start(self) -> None:
        """Start the worker, on the event loop that will ask for predictions."""
        self._batcher.start()

    def warm_up(self) -> None:
        """Evaluate a molecule and a crystal, so that the first request does not pay for it.

        Blocks.
        """
        for structure in (lattice_piece(self.card, 21, False), lattice_piece(self.card, 8, True)):
            graph = build_graph(structure, self.card.cutoff)
            self._backend(graph)
            self._backend.energies(graph)

    def measure_when_idle(self) -> None:
        """Measure what a batch may be, in moments when nothing waits; where the cache knew it, do
        nothing.
        """
        if self._measurement is not None:
            self._batcher.when_idle(self._measurement)
            self._measurement = None

    def check(self, structure: Structure) -> None:
        """Whether the model can answer for the structure.

        Raises:
            UnsupportedElement: an element that the model does not know.
            UnsupportedCharge: a charge or spin that it would ignore.
            StructureTooLarge: over the limit of atoms.
        """
        self.card.check(structure)
        if len(structure) > self._max_atoms:
            raise StructureTooLarge(
                f"the structure has {len(structure)} atoms; at most {self._max_atoms} are allowed"
            )

    def check_room(self, structures: int = 1, atoms: int = 1) -> None:
        """Whether `admit` would let so much in now.

        Raises:
            Overloaded: the queue is full; says when to come back.
            Unavailable: the potential is shutting down.
        """
        self._batcher.check_room(structures, atoms)

    def admit(self, structures: int, atoms: int) -> AbstractContextManager[None]:
        """A place in the queue for as long as the block lasts.

        Raises:
            Overloaded: the queue is full; says when to come back.
            Unavailable: the potential is shutting down.
        """
        return self._batcher.admit(structures, atoms)

    async def predict(self, structure: Structure, derivatives: bool = True) -> StructurePrediction:
        """Energy and derivatives of a structure, evaluated with whatever else waits; inside
        `admit`.

        Args:
            structure: the atoms.
            derivatives: whether forces and stress are wanted, or energies alone.

        Raises:
            InputError: the model cannot answer for this structure.
            BackendError: the model failed, or its answer is not finite.
        """
        self.check(structure)
        return await self._batcher.predict(structure, derivatives)

    async def graph(self, structure: Structure, skin: float = 0.0) -> Graph:
        """The graph of a structure within the cutoff and a skin, in Å, beyond it.

        Raises:
            InputError: the structure has no graph, or one with too many edges.
        """
        return await self._batcher.graph(structure, skin)

    async def run(self, task: Task) -> Any:
        """What a task has to say once it is over; inside `admit`."""
        return await self._batcher.run(task)

    async def stop(self) -> None:
        """Refuse new structures and finish the admitted ones."""
        await self._batcher.stop()


def load_potential(
    model: StoredModel,
    limits: Limits | Budget,
    bound: Bound,
    *,
    max_atoms: int,
    max_edges: int,
    threads: int = 0,
    device: str = "cpu",
    deterministic: bool = False,
    backend: BackendChoice = "auto",
    observer: Observer | None = None,
    cache: Cache | None = None,
) -> Potential:
    """The potential of a verified store version.

    Args:
        model: the version.
        limits: of a batch; what they leave open is taken from the cache, or measured in idle
            moments.
        bound: how much may be admitted.
        max_atoms: of one structure.
        max_edges: of one structure.
        threads: numerics threads of one evaluation; 0 takes all cores.
        device: `cpu`, `cuda` or `cuda:N`.
        deterministic: answers have the same bits whatever else is in the batch. The budget, which
            says where large structures are cut, then comes from `limits` alone and not from a
            measurement.
        backend: what runs an exported model; `auto` measures where there is a choice.
        observer: is told of batches and neighbour lists.
        cache: what was measured before.

    Raises:
        BackendError: the runtime is missing or cannot use the device or the artifact.
    """
    opened = load_backend(
        model, threads=threads, device=device, deterministic=deterministic, backend=backend
    )
    rest = (bound, max_atoms, max_edges, observer)
    if isinstance(limits, Budget):
        return Potential(opened, model.digest, limits, *rest)
    if deterministic:
        return Potential(opened, model.digest, limits.budget(None), *rest)
    cache = cache or Cache(None)
    place = place_of(model, opened, threads, device)
    known = cache.read(place)
    measurement = measured(opened, place, limits, cache) if known is None else None
    return Potential(opened, model.digest, limits.budget(known, "cached"), *rest, measurement)


def place_of(model: StoredModel, backend: Backend, threads: int, device: str) -> Place:
    """What a calibration of the model holds for."""
    return Place(
        digest=model.digest, device=device, threads=worker_threads(threads), runtime=backend.runtime
    )
