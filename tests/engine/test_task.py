"""Tasks of a batch, and what becomes of them."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.atoms.decomposition import Cutter
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction
from app.atoms.regions import Region
from app.engine.bisect import Outcome
from app.engine.budget import Cost
from app.engine.potential import Potential
from app.engine.task import Step, Task, cost_of
from app.errors import BackendError
from tests.engine.scenes import entered, grid, outcome_of, play, queued
from tests.engine.scripted import Scripted, dimer


def test_a_task_that_breaks_after_its_evaluation_gets_an_error_and_the_others_their_answers(
    backend: Scripted,
) -> None:
    class Broken(Task[str]):
        @classmethod
        def advance(cls, tasks: Sequence[Any], outcomes: Sequence[Outcome]) -> list[Step[str]]:
            raise RuntimeError("no luck")

    async def scene(potential: Potential) -> None:
        backend.gate.clear()
        first = asyncio.create_task(outcome_of(potential, dimer(4.0)))
        await entered(backend)
        with potential.admission.admit(1, 2):
            broken = asyncio.create_task(
                potential.workers.run(Broken(await potential.graphs.graph(dimer(4.1)), "caller"))
            )
            sound = asyncio.create_task(outcome_of(potential, dimer(4.2)))
            await queued(potential, 2)
            backend.gate.set()
            with pytest.raises(BackendError, match="RuntimeError: no luck"):
                await broken
        assert isinstance(await sound, StructurePrediction)
        assert isinstance(await first, StructurePrediction)
        assert backend.sizes == [1, 2]

    play(backend, scene)


def test_all_atoms_and_edges_of_a_structure_count() -> None:
    graph = build_graph(grid(2), 4.0)
    assert cost_of(graph) == Cost(8, len(graph.edge_reverse))


@pytest.mark.parametrize("local", [True, False], ids=["local", "message passing"])
def test_halo_atoms_of_a_piece_count_where_they_are_centres(local: bool) -> None:
    cutter = Cutter(Region.of(grid(4)), 4.0, 4.0, local, 8, 10_000, lambda graph: True)
    piece = cutter.next()
    assert piece is not None
    assert len(piece.atoms) > piece.core
    evaluated = piece.core if local else len(piece.atoms)
    assert cost_of(piece.graph) == Cost(evaluated, len(piece.graph.edge_reverse))
