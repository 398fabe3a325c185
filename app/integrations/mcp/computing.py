"""Tools that compute: try out, predict, relax."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from pydantic import Field
from typing_extensions import TypedDict

from app.integrations.mcp.asking import Asking, predicted
from app.integrations.mcp.options import (
    Cell,
    Force,
    ModelName,
    Odd,
    Steps,
    Strict,
    Structures,
    common,
    relaxation,
)
from app.integrations.mcp.rows import ROWS, Answer, answer_of, doubts
from equipot import AsyncClient, Results
from equipot.structures import Item

USUAL_STEPS = 30
"""Of a relaxation of a molecule, about."""
PATIENCE = 45.0
"""Seconds that a call may take; hosts give up after a minute or so."""


class Checked(TypedDict, total=False):
    """What is known before something is computed."""

    problems: list[str]
    model: str
    n_structures: int
    n_atoms: int
    evaluation_seconds: float
    expected_seconds: float
    at_most_seconds: float
    advice: str


class Computing:
    """Tools that compute.

    Args:
        asking: whom they ask.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def check(
        self,
        structures: Structures,
        context: Context,
        task: Literal["predict", "relax", "conformers"] = "predict",
        model: ModelName = None,
        max_steps: Steps = 1000,
        n_conformers: Annotated[int, Field(ge=1, le=100)] = 20,
    ) -> Checked:
        """Try before you run: evaluates each structure, and says what is wrong or doubtful
        (elements, charges, geometry, beyond training data), how large they are, and how long the
        task will take. Use it before relaxing or submitting many structures.
        """
        asked = common(model, strict=False, odd=False) | {"properties": ["energy", "forces"]}
        async with self._asking.client(context) as client:
            results = await predicted(client, self._asking.items(structures), asked)
            seconds = await _timed(client, results, asked)
        times = n_conformers if task == "conformers" else 1
        evaluations = 0 if task == "predict" else max_steps
        expected = seconds * times * (1 + min(evaluations, USUAL_STEPS))
        checked = Checked(problems=doubts(results))
        if (known := results.model) is not None:
            checked["model"] = known.reference
        return checked | Checked(
            n_structures=len(results),
            n_atoms=sum(len(result.forces) for result in results if result.forces is not None),
            evaluation_seconds=round(seconds, 3),
            expected_seconds=round(expected, 1),
            at_most_seconds=round(seconds * times * (1 + evaluations), 1),
            advice=_advice(results, expected, task),
        )

    async def predict(
        self,
        structures: Structures,
        context: Context,
        model: ModelName = None,
        refuse_out_of_domain: Strict = False,
        allow_odd_electrons: Odd = False,
    ) -> Answer:
        """Energy and forces of structures as they are. The answer has energies and the longest
        force; all atoms' forces are kept under answer_id, for `results`. Energies of different
        compositions do not compare; of one composition, their differences do.
        """
        asked = common(model, refuse_out_of_domain, allow_odd_electrons)
        async with self._asking.client(context) as client:
            results = await predicted(client, self._asking.items(structures), asked)
        return self._answer(results)

    async def relax(
        self,
        structures: Structures,
        context: Context,
        model: ModelName = None,
        fmax_eV_per_A: Force = 0.05,
        max_steps: Steps = 1000,
        cell: Cell = "fixed",
        refuse_out_of_domain: Strict = False,
        allow_odd_electrons: Odd = False,
    ) -> Answer:
        """Relax structures to a minimum of the energy. Look at `converged` and `warnings` of
        each: what did not converge, or changed its bonds, is no result. The relaxed structures
        are kept under answer_id: name them by {"answer": …} in other tools, or write them with
        `results`.
        """
        asked = common(model, refuse_out_of_domain, allow_odd_electrons)
        asked["relax"] = relaxation(fmax_eV_per_A, max_steps, cell)
        async with self._asking.client(context) as client:
            results = await predicted(client, self._asking.items(structures), asked)
        return self._answer(results)

    def _answer(self, results: Results) -> Answer:
        answer = answer_of(results)
        if results.ok:
            answer["answer_id"] = self._asking.kept.keep(results)
        if len(results) > ROWS:
            answer["more"] = f"{len(results) - ROWS} more rows: results(answer_id, offset={ROWS})"
        return answer


async def _timed(client: AsyncClient, results: Results, asked: Mapping[str, Any]) -> float:
    """Seconds of one evaluation of what has answers, whose geometries are made by now."""
    items = [Item(result.structure) for result in results.ok if result.structure is not None]
    began = time.monotonic()
    if items:
        await predicted(client, items, asked)
    return time.monotonic() - began


def _advice(results: Results, expected: float, task: str) -> str:
    if not results.ok:
        return "nothing can be answered; mend the structures, or choose another model"
    if expected > PATIENCE:
        return (
            f"takes long: submit_job instead of {task}"
            if task != "conformers"
            else ("takes long: fewer conformers, or a faster model")
        )
    return f"call {task}"
