"""Embedding: geometries for the SMILES of a request, beside the event loop and within limits."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from app.errors import EquipotError
from app.formats.notation import Smiles
from app.formats.smiles import Conformers, Embedder, TakesLonger
from app.protocol.request import Entry, RequestLimits

QUICK_SECONDS = 2.0
QUICK_WORK = 1_000_000
"""Conformers times the cube of atoms, which a core makes in about 0.4 s: one of 100 atoms."""
SLOW_PROCESSES = 2
SLOW_NICENESS = 10
T = TypeVar("T")


class Embedding:
    """Makes geometries; what takes longer waits for its like, and is overtaken by what is quick.

    Every SMILES is first asked of the quick lane. What that declines, as too large or not made in
    `QUICK_SECONDS`, is asked of the slow one, after all others of its request. In either one callers
    take turns, SMILES by SMILES.

    Args:
        limits: of a request.
        max_atoms: most atoms of one molecule.
        seconds: that one SMILES may take.
    """

    def __init__(self, limits: RequestLimits, max_atoms: int, seconds: float) -> None:
        self._limits, self._max_atoms = limits, max_atoms
        self._quick = Lane([Embedder(QUICK_WORK)], min(QUICK_SECONDS, seconds))
        slow = [Embedder(niceness=SLOW_NICENESS) for _ in range(SLOW_PROCESSES)]
        self._slow = Lane(slow, seconds)

    async def drawn(self, entries: list[Entry]) -> list[Entry]:
        """The entries, with those of each SMILES's conformers in its place, or an error; the same
        list where there is no SMILES.

        Raises:
            StructureTooLarge: all structures together have more atoms than a request may have.
        """
        if not any(isinstance(entry.structure, Smiles) for entry in entries):
            return entries
        made = [[entry] for entry in entries]
        atoms = sum(entry.n_atoms for entry in entries)
        left = [n for n, entry in enumerate(entries) if isinstance(entry.structure, Smiles)]
        for lane in (self._quick, self._slow):
            late = []
            for number in left:
                made[number] = await self._entries(entries[number], lane)
                atoms += sum(entry.n_atoms for entry in made[number])
                self._limits.check_atoms(atoms)
                if isinstance(made[number][0].structure, TakesLonger):
                    late.append(number)
            left = late
        return [entry for of_one in made for entry in of_one]

    async def ask(self, question: Mapping[str, Any], what: str) -> dict[str, Any]:
        """What the process of an `Embedder` answers, within the time that a SMILES may take.

        Args:
            question: as of `Embedder.ask`.
            what: is wanted, for an error.

        Raises:
            InputError: there is no answer; says why.
        """
        try:
            return await self._quick.run(lambda embedder, s: embedder.ask(question, what, s))
        except TakesLonger:
            return await self._slow.run(lambda embedder, s: embedder.ask(question, what, s))

    def close(self) -> None:
        """End the processes that make geometries."""
        self._quick.close()
        self._slow.close()

    async def _entries(self, entry: Entry, lane: "Lane") -> list[Entry]:
        smiles = entry.structure
        assert isinstance(smiles, Smiles)
        named = replace(entry, id=entry.id or smiles.text)
        try:
            conformers = await lane.run(lambda e, s: e.embed(smiles, self._max_atoms, s))
        except EquipotError as error:
            return [replace(named, structure=error)]
        return conformer_entries(named, smiles, conformers)


class Lane:
    """Processes that do one thing after the other, for who came first; belongs to one event loop.

    Args:
        embedders: with a process each.
        seconds: that one thing may take.
    """

    def __init__(self, embedders: Sequence[Embedder], seconds: float) -> None:
        self._embedders, self._seconds = embedders, seconds
        self._idle: asyncio.Queue[Embedder] = asyncio.Queue()
        for embedder in embedders:
            self._idle.put_nowait(embedder)
        self._threads = ThreadPoolExecutor(len(embedders), thread_name_prefix="smiles")

    async def run(self, work: Callable[[Embedder, float], T]) -> T:
        """The result of some work that blocks; if this is cancelled, its process is ended.

        Args:
            work: by an embedder, within seconds.
        """
        embedder = await self._idle.get()
        try:
            loop = asyncio.get_running_loop()
            doing = loop.run_in_executor(self._threads, work, embedder, self._seconds)
            try:
                return await asyncio.shield(doing)
            except asyncio.CancelledError:
                embedder.abandon()
                await asyncio.wait([doing])
                doing.exception()
                raise
        finally:
            self._idle.put_nowait(embedder)

    def close(self) -> None:
        """End the processes."""
        for embedder in self._embedders:
            embedder.close()
        self._threads.shutdown()


def conformer_entries(entry: Entry, smiles: Smiles, conformers: Conformers) -> list[Entry]:
    """An entry for each conformer: `id:0`, `id:1`, … where several were wanted."""
    many = smiles.conformers > 1
    return [
        replace(
            entry,
            id=f"{entry.id}:{number}" if many else entry.id,
            structure=structure,
            info={
                **entry.info,
                "smiles": smiles.text,
                "conformer": number,
                "seed": smiles.seed,
            },
            warnings=(*entry.warnings, *conformers.warnings),
            topology=conformers.topology,
        )
        for number, structure in enumerate(conformers.structures)
    ]
