"""A sample of the structures of a job, with geometries for its SMILES, of which its time is told."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from app.errors import StructureTooLarge
from app.formats.notation import Smiles
from app.protocol.request import Entry, PredictRequest
from app.service.embedding import Embedding

DRAWN = 4
"""SMILES of which a geometry is made."""
PATIENCE = 3.0
"""Seconds that these may take."""


class Sample(NamedTuple):
    """What is asked, with some of the structures.

    Attributes:
        request: with geometries in the place of SMILES; each stands for several of them.
        times: as many structures are evaluated as the job has, times this: conformers.
        seconds: that making geometries takes, for each structure or SMILES of the job.
    """

    request: PredictRequest
    times: float = 1.0
    seconds: float = 0.0


async def with_geometries(embedding: Embedding, request: PredictRequest) -> Sample:
    """The sample of a request whose SMILES have no geometries yet.

    Args:
        embedding: makes some; how long it takes is measured.
        request: with some of the structures of a job.
    """
    notations = [entry for entry in request.entries if isinstance(entry.structure, Smiles)]
    made, seconds = await _made(embedding, notations)
    if not made:
        return Sample(request)
    entries, conformers = list[Entry](), 0
    for number, entry in enumerate(request.entries):
        if isinstance(entry.structure, Smiles):
            conformers += entry.structure.conformers
            entries += [made[number % len(made)]] * entry.structure.conformers
        else:
            entries.append(entry)
    count = len(request.entries)
    return Sample(
        replace(request, entries=entries), len(entries) / count, seconds * conformers / count
    )


async def _made(embedding: Embedding, notations: Sequence[Entry]) -> tuple[list[Entry], float]:
    """A geometry for each of some SMILES, and the seconds that one took. The first is made twice:
    before it counts, a process may have to begin.
    """
    chosen = notations[:: max(1, len(notations) // DRAWN)][:DRAWN]
    made, times = list[Entry](), list[float]()
    with contextlib.suppress(TimeoutError, StructureTooLarge):
        async with asyncio.timeout(PATIENCE):
            for entry in (*chosen[:1], *chosen):
                assert isinstance(entry.structure, Smiles)
                one = replace(entry, structure=replace(entry.structure, conformers=1))
                began = time.monotonic()
                made += await embedding.drawn([one])
                times.append(time.monotonic() - began)
    timed = times[1:] or times
    return [e for e in made if not isinstance(e.structure, Exception)], sum(timed) / max(
        1, len(timed)
    )
