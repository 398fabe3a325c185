"""Neighbour lists of the structures that arrive together: of a few at once, of many on another
thread.

A request with a thousand molecules would hold up the event loop, and with it every other request,
for as long as their lists take. What goes beyond `TURN_ATOMS` in one turn of the loop is handed to
a thread, where molecules are searched together.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple, TypeAlias

from app.atoms.graph import Graph, separate
from app.atoms.neighbors import build_graph, build_graphs
from app.atoms.structure import Structure

TURN_ATOMS = 2000
"""Atoms whose lists are made in one turn of the event loop itself; they take some milliseconds."""
ALONE_ATOMS = 200
"""Lists of larger structures are always made on another thread."""
JOB_ATOMS = 8000
"""Atoms of one job of the thread, so that the first lists are there early."""

Found: TypeAlias = Graph | Exception


class _Wanted(NamedTuple):
    structure: Structure
    future: asyncio.Future[Graph]


class Lists:
    """Makes graphs on an event loop and a pool of threads.

    Args:
        loop: on which it is asked.
        pool: whose threads make the lists of many or large structures.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: Executor) -> None:
        self._loop, self._pool = loop, pool
        self._atoms = 0
        self._waiting: dict[tuple[float, int], list[_Wanted]] = defaultdict(list)

    async def graph(self, structure: Structure, cutoff: float, max_edges: int) -> Graph:
        """The graph of a structure, as `build_graph` makes it.

        Raises:
            InputError: the structure has no graph, or one with too many edges.
        """
        if len(structure) > ALONE_ATOMS:
            return await self._loop.run_in_executor(
                self._pool, build_graph, structure, cutoff, max_edges
            )
        if not self._atoms:
            self._loop.call_soon(self._end_turn)
        self._atoms += len(structure)
        if self._atoms <= TURN_ATOMS:
            return build_graph(structure, cutoff, max_edges)
        wanted = _Wanted(structure, self._loop.create_future())
        self._waiting[cutoff, max_edges].append(wanted)
        return await wanted.future

    def _end_turn(self) -> None:
        self._atoms = 0
        for (cutoff, max_edges), wanted in self._waiting.items():
            for job in _jobs(wanted):
                structures = [one.structure for one in job]
                made = self._loop.run_in_executor(
                    self._pool, graphs_of, structures, cutoff, max_edges
                )
                made.add_done_callback(partial(_tell, job))
        self._waiting.clear()


def _tell(job: Sequence[_Wanted], made: asyncio.Future[list[Found]]) -> None:
    for one, graph in zip(job, made.result(), strict=True):
        if one.future.done():
            continue
        if isinstance(graph, Exception):
            one.future.set_exception(graph)
        else:
            one.future.set_result(graph)


def graphs_of(structures: Sequence[Structure], cutoff: float, max_edges: int) -> list[Found]:
    """The graph of each structure, or the error that it gives alone."""
    try:
        return list(separate(build_graphs(structures, cutoff, max_edges)))
    except Exception:
        return [_alone(structure, cutoff, max_edges) for structure in structures]


def _alone(structure: Structure, cutoff: float, max_edges: int) -> Found:
    try:
        return build_graph(structure, cutoff, max_edges)
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
