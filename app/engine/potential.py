"""Potential: a model ready to answer, for the service, relaxations and the command line."""

import sys
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.backends import Backend
from app.backends.device import BackendChoice
from app.backends.domain import Known
from app.backends.synthetic import lattice_piece
from app.engine.admission import Admission, QueueLimits
from app.engine.batcher import Batcher, Divider
from app.engine.budget import Budget
from app.engine.graph_builder import GraphBuilder, Look
from app.engine.limits import BatchLimits
from app.engine.observer import NullObserver, Observer
from app.engine.workers import IN_FLIGHT, Workers
from app.errors import StructureTooLarge
from app.store.card import ModelCard

UNLIMITED = QueueLimits(sys.maxsize, sys.maxsize)


@dataclass(frozen=True, slots=True)
class PotentialOptions:
    """How a model is run. Without arguments, on all cores and without limits.

    Attributes:
        batch: limits of a batch; what they leave open is measured.
        queue: how much may be admitted.
        max_atoms: of one structure.
        max_edges: of one structure.
        threads: numerics threads of one evaluation; 0 takes all cores.
        device: `cpu`, `cuda` or `cuda:N`.
        deterministic: answers have the same bits whatever else is in the batch. The budget, which
            says where large structures are cut, then comes from `batch` alone and not from a
            measurement.
        backend: what runs an exported model; `auto` measures where there is a choice.
        in_flight: batches at the same time.
        divider: of the backend, makes what evaluates large structures in its place; None where
            nothing does.
    """

    batch: BatchLimits = field(default_factory=BatchLimits)
    queue: QueueLimits = UNLIMITED
    max_atoms: int = sys.maxsize
    max_edges: int = sys.maxsize
    threads: int = 0
    device: str = "cpu"
    deterministic: bool = False
    backend: BackendChoice = "auto"
    in_flight: int = IN_FLIGHT
    divider: Callable[[Backend], Divider] | None = None


class Potential:
    """A model of the store behind its own queue and workers.

    Args:
        backend: what evaluates.
        digest: sha256 of the card, which holds those of all files.
        budget: the largest batch to begin with.
        options: how it is run.
        observer: is told of batches and graphs.
        measurement: steps that end with a better budget, for moments when nothing waits.

    Attributes:
        card: what the model is.
        digest: as given.
        known: what the model's training data held.
        admission: who is let in; every call of `predict` is made within `admission.admit`.
        graphs: makes the graphs of structures.
        workers: the queue and the threads that evaluate what waits in it.
    """

    def __init__(
        self,
        backend: Backend,
        digest: str,
        budget: Budget,
        options: PotentialOptions,
        observer: Observer | None = None,
        measurement: Iterator[Budget | None] | None = None,
    ) -> None:
        observer = observer or NullObserver()
        self.card: ModelCard = backend.card
        self.digest = digest
        self.known = Known(self.card)
        self.admission = Admission(options.queue)
        self.graphs = GraphBuilder(
            self.card.cutoff, options.max_edges, observer, budget.searched, self.known.tables
        )
        evaluated = self.admission.evaluated
        self.workers = Workers(backend, budget, observer, evaluated, options.in_flight)
        self._backend = backend
        self._divider = None if options.divider is None else options.divider(backend)
        self._batcher = Batcher(backend, self.graphs, self.workers, self._divider)
        self._max_atoms = options.max_atoms
        self._measurement = measurement

    @property
    def reference(self) -> str:
        """`name@version`."""
        return self.card.reference

    @property
    def runs_on(self) -> str:
        """Name and version of what computes."""
        return self._backend.runtime

    @property
    def depth(self) -> int:
        """Structures that wait for a batch."""
        return self.workers.depth

    def start(self) -> None:
        """Start the workers, on the event loop that will ask for predictions."""
        self.graphs.start()
        self.workers.start()

    def warm_up(self) -> None:
        """Evaluate a molecule and a crystal, so that the first request does not pay for it.

        Blocks.
        """
        for atoms, periodic in ((21, False), (8, True)):
            graph = build_graph(lattice_piece(self.card, atoms, periodic), self.card.cutoff)
            self._backend(graph)
            self._backend.energies(graph)

    def measure_when_idle(self) -> None:
        """Measure what a batch may be while nothing waits, unless the cache knew it."""
        if self._measurement is not None:
            self.workers.when_idle(self._measurement)
            self._measurement = None

    def check(self, structure: Structure) -> None:
        """Whether the model can answer for the structure.

        Raises:
            UnsupportedElement: an element that the model does not know.
            UnsupportedCharge: a charge or spin that it would ignore.
            StructureTooLarge: over the limit of atoms.
        """
        self.card.check(structure)
        self.check_size(len(structure), "the structure")

    def check_size(self, atoms: int, what: str) -> None:
        """Whether a structure may have so many atoms.

        Raises:
            StructureTooLarge: it may not; names what it is.
        """
        if atoms > self._max_atoms:
            raise StructureTooLarge(
                f"{what} has {atoms} atoms; at most {self._max_atoms} are allowed"
            )

    async def predict(
        self,
        structure: Structure,
        derivatives: bool = True,
        caller: Hashable = None,
        look: Look | None = None,
    ) -> StructurePrediction:
        """Energy and derivatives of a structure, evaluated with whatever else waits.

        Args:
            structure: the atoms.
            derivatives: whether forces and stress are wanted, or energies alone.
            caller: for whom; callers take turns.
            look: is shown the graph, or its pieces, before they are evaluated.

        Raises:
            InputError: the model cannot answer for this structure.
            OutOfMemory: not even a piece of it fits into memory.
            BackendError: the model failed, or its answer is not finite.
        """
        self.check(structure)
        return await self._batcher.predict(structure, caller, derivatives, look)

    async def stop(self) -> None:
        """Refuse new structures, finish the admitted ones, end the threads."""
        await self.admission.close()
        await self.workers.stop()
        self.graphs.stop()
        if self._divider is not None:
            self._divider.close()
