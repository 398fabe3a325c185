"""Answering a request: each structure gets its prediction or its own error."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.backends.domain import doubts
from app.engine.potential import Potential
from app.errors import DoubtfulAnswer, EquipotError, UnsupportedCharge
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered, ModelRef, PredictResponse, Result
from app.relax import Keep, RelaxationState, Relaxed, Safeguards, relax
from app.relax.bonds import changed_bonds
from app.store.card import ModelCard

log = logging.getLogger(__name__)

Watch: TypeAlias = Callable[[Relaxed], None]


@dataclass(frozen=True, slots=True)
class Course:
    """How the relaxation of an entry begins, and who follows it.

    Attributes:
        state: of one that did not end, from which it goes on.
        keep: is told of its state every few steps.
    """

    state: RelaxationState | None = None
    keep: Keep | None = None


WHOLE = Course()
"""From its beginning to its end, and nobody follows it."""


async def answer(
    potential: Potential,
    request: PredictRequest,
    safeguards: Safeguards,
    watch: Watch | None = None,
) -> PredictResponse:
    """The results of all entries, in their order. One that fails costs the others nothing.

    Args:
        potential: the model that was asked for.
        request: what is asked.
        safeguards: where a relaxation is given up.
        watch: is told of each relaxation that ended.

    Raises:
        Overloaded: the queue is full.
        Unavailable: the service is shutting down.
    """
    model = ModelRef(potential.card.name, potential.card.version, potential.digest)

    async def one(entry: Entry) -> Result:
        result = await result_of(potential, entry, request, safeguards)
        if watch and isinstance(result, Answered) and result.relaxed:
            watch(result.relaxed)
        return result

    with potential.admission.admit(len(request.structures), request.n_atoms):
        if len(request.entries) == 1:
            return PredictResponse(model, request, [await one(request.entries[0])])
        return PredictResponse(model, request, await asyncio.gather(*map(one, request.entries)))


async def result_of(
    potential: Potential,
    entry: Entry,
    request: PredictRequest,
    safeguards: Safeguards,
    course: Course = WHOLE,
) -> Result:
    """The result of one entry, whatever becomes of it; within `admission.admit`.

    Args:
        potential: the model that was asked for.
        entry: of the request.
        request: what is asked.
        safeguards: where a relaxation is given up.
        course: of its relaxation.
    """
    if not isinstance(entry.structure, Structure):
        return entry.structure
    try:
        return await _answered(potential, entry, entry.structure, request, safeguards, course)
    except EquipotError as error:
        return error
    except Exception as error:
        log.exception("a structure could not be answered")
        return EquipotError(f"an unexpected {type(error).__name__}; the service's log has more")


async def _answered(
    potential: Potential,
    entry: Entry,
    structure: Structure,
    request: PredictRequest,
    safeguards: Safeguards,
    course: Course,
) -> Answered:
    warnings = [*entry.warnings, *_odd_electrons(potential.card, structure, request)]
    if potential.card.trained_on is not None:
        warnings += doubts(potential.card, await potential.graphs.graph(structure))
    relaxed = None
    if request.relax is None:
        prediction = await potential.predict(structure, request.derivatives, caller=request.caller)
    else:
        ask = (request.relax, safeguards, request.caller, course.state, course.keep)
        relaxed = await relax(potential, structure, *ask)
        prediction = relaxed.initial
        warnings += changed_bonds(structure, relaxed.structure)
    if warnings and request.strict:
        told = "; ".join(f"{warning.code}: {warning.message}" for warning in warnings)
        raise DoubtfulAnswer(f"{told} (an error since the request is strict)")
    return Answered(prediction, relaxed, tuple(warnings))


def _odd_electrons(
    card: ModelCard, structure: Structure, request: PredictRequest
) -> list[AnswerWarning]:
    """The doubt about a radical that the request wants answered.

    Raises:
        UnsupportedCharge: it does not want that.
    """
    try:
        card.check_electrons(structure)
    except UnsupportedCharge as error:
        if not request.allow_odd_electrons:
            raise
        return [AnswerWarning("odd_electrons", str(error).partition(": ")[0])]
    return []
