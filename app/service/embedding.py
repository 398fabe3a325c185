"""Embedding: geometries for the SMILES of a request, beside the event loop and within limits."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, ParamSpec, TypeVar

from app.errors import EquipotError, StructureTooLarge
from app.formats.notation import Smiles
from app.formats.smiles import Conformers, Embedder
from app.protocol.request import Entry, RequestLimits

P = ParamSpec("P")
T = TypeVar("T")


class Embedding:
    """Makes geometries for one SMILES after the other; callers take turns, SMILES by SMILES.

    Args:
        limits: of a request.
        max_atoms: most atoms of one molecule.
        seconds: that all SMILES of a request, or of a line of a stream, may take together.
    """

    def __init__(self, limits: RequestLimits, max_atoms: int, seconds: float) -> None:
        self._limits, self._max_atoms, self._seconds = limits, max_atoms, seconds
        self._embedder = Embedder()
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="smiles")

    async def drawn(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries, with those of each SMILES's conformers in its place, or an error.

        Raises:
            StructureTooLarge: all structures together have more atoms than a request may have.
        """
        if not any(isinstance(entry.structure, Smiles) for entry in entries):
            return list(entries)
        drawn: list[Entry] = []
        left, atoms = self._seconds, 0
        clock = asyncio.get_running_loop().time
        for entry in entries:
            new = [entry]
            if isinstance(entry.structure, Smiles):
                async with self._turn:
                    began = clock()
                    new = await self._entries(entry, entry.structure, left)
                    left -= clock() - began
            atoms += sum(e.n_atoms for e in new)
            self._limits.check_atoms(atoms)
            drawn += new
        return drawn

    async def ask(self, question: Mapping[str, Any], what: str) -> dict[str, Any]:
        """What the process of an `Embedder` answers, within the time that a request may take.

        Args:
            question: as of `Embedder.ask`.
            what: is wanted, for an error.

        Raises:
            InputError: there is no answer; says why.
        """
        async with self._turn:
            return await self._threaded(self._embedder.ask, question, what, self._seconds)

    def close(self) -> None:
        """End the process that makes geometries."""
        self._embedder.close()
        self._thread.shutdown()

    async def _entries(self, entry: Entry, smiles: Smiles, seconds: float) -> list[Entry]:
        name = entry.id or smiles.text
        try:
            if seconds <= 0:
                raise StructureTooLarge(
                    f"{smiles}: the SMILES before this one took {self._seconds:g} s, the most allowed "
                    "(embed_seconds); send fewer at a time"
                )
            conformers = await self._made(smiles, seconds)
        except EquipotError as error:
            return [replace(entry, id=name, structure=error)]
        return conformer_entries(replace(entry, id=name), smiles, conformers)

    async def _made(self, smiles: Smiles, seconds: float) -> Conformers:
        return await self._threaded(self._embedder.embed, smiles, self._max_atoms, seconds)

    async def _threaded(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that blocks; cancelled, it ends the process."""
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._thread, partial(call, *args, **kwargs))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._embedder.abandon()
            await asyncio.wait([work])
            work.exception()
            raise


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
