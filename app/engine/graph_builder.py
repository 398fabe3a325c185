"""Graphs of the structures that arrive together: of a few at once, of many on other threads.

A request with a thousand molecules would hold up the event loop, and with it every other request,
for as long as their neighbour lists take. What goes beyond `TURN_ATOMS` in one turn of the loop is
handed to a thread, where molecules are searched together.
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
from app.backends.geometry import Findings
from app.engine.observer import Observer
from app.errors import OutOfMemory

TURN_ATOMS = 2000
"""Atoms whose lists are made in one turn of the event loop itself; they take some milliseconds."""
ALONE_ATOMS = 200
"""Lists of larger structures are always made on another thread."""
JOB_ATOMS = 8000
"""Atoms of one job of the thread, so that the first lists are there early."""
THREADS = 2

Built: TypeAlias = Graph | Exception
Look: TypeAlias = Callable[[Piece | Findings], None]
"""Is shown what is about to be evaluated, or what was found where that was done elsewhere, and may
raise an `EquipotError` against it.
"""
P = ParamSpec("P")
T = TypeVar("T")


class _Wanted(NamedTuple):
    structure: Structure
    future: asyncio.Future[Graph]


class GraphBuilder:
    """Makes the graphs of one model on an event loop and on threads of its own.

    Args:
        cutoff: Å.
        max_edges: of one structure.
        observer: is told how long each took.
        at_once: edges that one search may find; memory limits it.

    Attributes:
        cutoff: as given.
        max_edges: as given.
        at_once: as given.
    """

    def __init__(
        self, cutoff: float, max_edges: int, observer: Observer, at_once: float = math.inf
    ) -> None:
        self.cutoff, self.max_edges, self.at_once = cutoff, max_edges, at_once
        self._observer = observer
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="graphs")
        self._turn_atoms = 0
        self._waiting: dict[float, list[_Wanted]] = defaultdict(list)

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
        began = time.perf_counter()
        graph = await self._graph(structure, skin)
        self._observer.graph(time.perf_counter() - began)
        return graph

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

    async def _graph(self, structure: Structure, skin: float) -> Graph:
        reach = self._reach(skin)
        if len(structure) > ALONE_ATOMS:
            return await self.threaded(build_graph, structure, *reach)
        if not self._turn_atoms:
            self._loop.call_soon(self._end_turn)
        self._turn_atoms += len(structure)
        if self._turn_atoms <= TURN_ATOMS:
            return _within_memory(build_graph, structure, *reach)
        wanted = _Wanted(structure, self._loop.create_future())
        self._waiting[skin].append(wanted)
        return await wanted.future

    def _reach(self, skin: float) -> tuple[float, int]:
        """Å to search within, and the most edges there, in proportion to the volume."""
        growth = 1.0 + skin / self.cutoff
        most = int(self.max_edges * growth**3) if skin else self.max_edges
        return self.cutoff + skin, int(min(most, self.at_once))

    def _end_turn(self) -> None:
        self._turn_atoms = 0
        for skin, wanted in self._waiting.items():
            for job in _jobs(wanted):
                structures = [one.structure for one in job]
                built = self.threaded(graphs_of, structures, *self._reach(skin))
                built.add_done_callback(partial(_tell, job))
        self._waiting.clear()


def _within_memory(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do some work; a shortage of memory costs what it was for, and no more."""
    try:
        return work(*args, **kwargs)
    except MemoryError as error:
        raise OutOfMemory(
            f"the neighbours of the atoms do not fit into memory; send fewer atoms ({error})"
        ) from None


def _tell(job: Sequence[_Wanted], built: asyncio.Future[list[Built]]) -> None:
    for one, graph in zip(job, built.result(), strict=True):
        if one.future.done():
            continue
        if isinstance(graph, Exception):
            one.future.set_exception(graph)
        else:
            one.future.set_result(graph)


def graphs_of(structures: Sequence[Structure], cutoff: float, max_edges: int) -> list[Built]:
    """The graph of each structure, or the error that it gives alone."""
    try:
        return list(separate(build_graphs(structures, cutoff, max_edges)))
    except Exception:
        return [_alone(structure, cutoff, max_edges) for structure in structures]


def _alone(structure: Structure, cutoff: float, max_edges: int) -> Built:
    try:
        return _within_memory(build_graph, structure, cutoff, max_edges)
    except Exception as error:
        return error


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
