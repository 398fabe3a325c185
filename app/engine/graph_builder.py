"""Graphs of the structures that arrive together: of a few at once, of many on other threads.

All that arrive in one turn of the event loop are searched together, and compared together with what
the model's training data held: one by one, either takes several times as long. A request with a
thousand molecules would hold up the event loop, and with it every other request, for as long as that
takes. What goes beyond `TURN_ATOMS` in one turn of the loop is handed to a thread.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, ParamSpec, TypeAlias, TypeVar

from app.atoms.decomposition import Piece
from app.atoms.graph import Graph, separate
from app.atoms.neighbors import build_graph, build_graphs
from app.atoms.structure import Structure
from app.backends.findings import Tables
from app.backends.geometry import Findings, compared
from app.engine.observer import Observer
from app.errors import OutOfMemory

TURN_ATOMS = 2000
"""Atoms whose lists are made in one turn of the event loop itself; they take some milliseconds."""
ALONE_ATOMS = 200
"""Lists of larger structures are always made on another thread."""
JOB_ATOMS = 8000
"""Atoms of one job of the thread, so that the first lists are there early."""
THREADS = 2

Look: TypeAlias = Callable[[Piece | Findings], None]
"""Is shown what was found in what is about to be evaluated, or a piece in which it is to be found, and
may raise an `EquipotError` against it.
"""
P = ParamSpec("P")
T = TypeVar("T")


class Built(NamedTuple):
    """A graph.

    Attributes:
        graph: of one structure.
        findings: what of it training data never held; nothing where it was not compared.
    """

    graph: Graph
    findings: Findings


class Search(NamedTuple):
    """What of structures is wanted, of which those that want the same are searched together.

    Attributes:
        cutoff: Å.
        max_edges: of one structure.
        tables: what training data held, with which they are compared; None where they are not.
    """

    cutoff: float
    max_edges: int
    tables: Tables | None = None


class _Wanted(NamedTuple):
    structure: Structure
    future: asyncio.Future[Built]


_Waiting: TypeAlias = defaultdict[Search, list[_Wanted]]


class GraphBuilder:
    """Makes the graphs of one model on an event loop and on threads of its own.

    Args:
        cutoff: Å.
        max_edges: of one structure.
        observer: is told how long each took.
        at_once: edges that one search may find; memory limits it.
        tables: what the model's training data held; None where that is not known.

    Attributes:
        cutoff: as given.
        max_edges: as given.
        at_once: as given.
    """

    def __init__(
        self,
        cutoff: float,
        max_edges: int,
        observer: Observer,
        at_once: float = math.inf,
        tables: Tables | None = None,
    ) -> None:
        self.cutoff, self.max_edges, self.at_once = cutoff, max_edges, at_once
        self._observer, self._tables = observer, tables
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="graphs")
        self._turn_atoms = 0
        self._here: _Waiting = defaultdict(list)
        self._elsewhere: _Waiting = defaultdict(list)

    def start(self) -> None:
        """To be called on the event loop that will ask for graphs."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    async def graph(self, structure: Structure, skin: float = 0.0) -> Graph:
        """The graph of a structure within the cutoff and a skin, in Å, beyond it.

        Raises:
            InputError: the structure has no graph, or one with too many edges.
            OutOfMemory: memory does not suffice for its graph.
        """
        return (await self._observed(structure, Search(*self._reach(skin)))).graph

    async def built(self, structure: Structure, compares: bool) -> Built:
        """The graph of a structure within the cutoff.

        Args:
            structure: the atoms.
            compares: whether it is compared with what the training data held.

        Raises:
            InputError, OutOfMemory: as `graph`.
        """
        tables = self._tables if compares else None
        return await self._observed(structure, Search(*self._reach(0.0), tables))

    async def show(self, graph: Piece, look: Look | None) -> None:
        """Show a graph, whole or a piece, to who wants to see it before it is evaluated.

        Raises:
            EquipotError: who sees it does not want it evaluated.
        """
        if look is None:
            return
        if len(graph.atoms) > ALONE_ATOMS:
            await self.threaded(look, graph)
        else:
            look(graph)

    def threaded(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """The result of work that is done on one of the threads.

        Raises:
            OutOfMemory: memory did not suffice for it.
        """
        return self._loop.run_in_executor(
            self._pool, partial(_within_memory, work, *args, **kwargs)
        )

    async def _observed(self, structure: Structure, search: Search) -> Built:
        began = time.perf_counter()
        built = await self._built(structure, search)
        self._observer.graph(time.perf_counter() - began)
        return built

    async def _built(self, structure: Structure, search: Search) -> Built:
        if len(structure) > ALONE_ATOMS:
            return await self.threaded(_alone, structure, search)
        if not self._turn_atoms:
            self._loop.call_soon(self._end_turn)
        self._turn_atoms += len(structure)
        waiting = self._here if self._turn_atoms <= TURN_ATOMS else self._elsewhere
        wanted = _Wanted(structure, self._loop.create_future())
        waiting[search].append(wanted)
        return await wanted.future

    def _reach(self, skin: float) -> tuple[float, int]:
        """Å to search within, and the most edges there, in proportion to the volume."""
        growth = 1.0 + skin / self.cutoff
        most = int(self.max_edges * growth**3) if skin else self.max_edges
        return self.cutoff + skin, int(min(most, self.at_once))

    def _end_turn(self) -> None:
        self._turn_atoms = 0
        for search, wanted in self._here.items():
            _tell(wanted, built_of([one.structure for one in wanted], search))
        for search, wanted in self._elsewhere.items():
            for job in _jobs(wanted):
                built = self.threaded(built_of, [one.structure for one in job], search)
                built.add_done_callback(partial(_tell_of, job))
        self._here.clear()
        self._elsewhere.clear()


def _within_memory(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do some work; a shortage of memory costs what it was for, and no more."""
    try:
        return work(*args, **kwargs)
    except MemoryError as error:
        raise OutOfMemory(
            f"the neighbours of the atoms do not fit into memory; send fewer atoms ({error})"
        ) from None


def _tell_of(job: Sequence[_Wanted], built: asyncio.Future[list[Built | Exception]]) -> None:
    _tell(job, built.result())


def _tell(job: Sequence[_Wanted], built: Sequence[Built | Exception]) -> None:
    for one, graph in zip(job, built, strict=True):
        if one.future.done():
            continue
        if isinstance(graph, Exception):
            one.future.set_exception(graph)
        else:
            one.future.set_result(graph)


def built_of(structures: Sequence[Structure], search: Search) -> list[Built | Exception]:
    """What is wanted of each structure, or the error that it gives alone."""
    if len(structures) == 1:
        return [_outcome(structures[0], search)]
    try:
        graph = build_graphs(structures, search.cutoff, search.max_edges)
        return list(map(Built, separate(graph), _findings(graph, search)))
    except Exception:
        return [_outcome(structure, search) for structure in structures]


def _outcome(structure: Structure, search: Search) -> Built | Exception:
    try:
        return _within_memory(_alone, structure, search)
    except Exception as error:
        return error


def _alone(structure: Structure, search: Search) -> Built:
    graph = build_graph(structure, search.cutoff, search.max_edges)
    return Built(graph, *_findings(graph, search))


def _findings(graph: Graph, search: Search) -> list[Findings]:
    if search.tables is None:
        return [Findings() for _ in graph.n_atoms]
    return compared(search.tables, graph)


def _jobs(wanted: Sequence[_Wanted]) -> Iterator[list[_Wanted]]:
    job: list[_Wanted] = []
    atoms = 0
    for one in wanted:
        job.append(one)
        atoms += len(one.structure)
        if atoms >= JOB_ATOMS:
            yield job
            job, atoms = [], 0
    if job:
        yield job
