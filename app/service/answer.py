"""Answering a request: each structure gets its prediction or its own error."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TypeAlias

from app.atoms.decomposition import Piece
from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.backends.domain import AFTER, BEFORE, Domain, When
from app.engine.potential import Potential
from app.errors import (
    DoubtfulAnswer,
    EquipotError,
    InvalidStructure,
    UnsupportedCharge,
    UnsupportedElement,
)
from app.formats.notation import Smiles
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered, PredictResponse, Result
from app.relax import Keep, RelaxationState, Relaxed, RelaxOptions, Safeguards, relax
from app.relax.bonds import changed_bonds
from app.service.answer_cache import AnswerCache, key_of
from app.service.choice import Choice, as_asked, ref_of
from app.store.card import ModelCard
from app.telemetry.context import count_structure
from app.telemetry.tracing import span

log = logging.getLogger(__name__)

Watch: TypeAlias = Callable[[str, Result], None]
"""Is told of a result, and of the model that was asked for it."""
Suggest: TypeAlias = Callable[[Structure], str]


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
    choice: Choice,
    request: PredictRequest,
    safeguards: Safeguards,
    watch: Watch | None = None,
    suggest: Suggest | None = None,
    cache: AnswerCache | None = None,
) -> PredictResponse:
    """The results of all entries, in their order. One that fails costs the others nothing.

    Args:
        choice: the model that was asked for, or those of which each structure has its own.
        request: what is asked.
        safeguards: where a relaxation is given up.
        watch: is told of each result.
        suggest: says of a structure with an element that the model does not know who knows it.
        cache: of answers that were given before.

    Raises:
        Overloaded: the queue of a model is full; nothing is answered.
        Unavailable: the service is shutting down.
    """

    async def one(entry: Entry, potential: Potential) -> Result:
        return await result_of(potential, entry, request, safeguards, watch, suggest, cache=cache)

    entries = request.entries
    potentials = [choice.potential(entry, request) for entry in entries]
    model, request = _named(choice, request, potentials)
    with ExitStack() as places:
        for potential, (structures, atoms) in _loads(entries, potentials).items():
            places.enter_context(potential.admission.admit(structures, atoms, request.caller))
        if len(entries) == 1:
            return PredictResponse(model, request, [await one(entries[0], potentials[0])])
        results = await asyncio.gather(*map(one, entries, potentials))
        return PredictResponse(model, request, results)


def _named(
    choice: Choice, request: PredictRequest, potentials: Sequence[Potential]
) -> tuple[ModelRef | None, PredictRequest]:
    """The model of all structures, or else the request with that of each."""
    pairs = list(zip(request.entries, potentials, strict=True))
    used = {potential for entry, potential in pairs if isinstance(entry.structure, Structure)}
    if len(used) > 1:
        return None, replace(request, entries=[choice.named(*pair) for pair in pairs])
    return ref_of(next(iter(used), choice.potentials[0])), request


def _loads(
    entries: Sequence[Entry], potentials: Sequence[Potential]
) -> dict[Potential, tuple[int, int]]:
    """Structures and atoms that each model has to answer."""
    loads: dict[Potential, tuple[int, int]] = {}
    for entry, potential in zip(entries, potentials, strict=True):
        structures, atoms = loads.get(potential, (0, 0))
        loads[potential] = (
            structures + isinstance(entry.structure, Structure),
            atoms + entry.n_atoms,
        )
    return loads


async def result_of(
    potential: Potential,
    entry: Entry,
    request: PredictRequest,
    safeguards: Safeguards,
    watch: Watch | None = None,
    suggest: Suggest | None = None,
    course: Course = WHOLE,
    cache: AnswerCache | None = None,
) -> Result:
    """The result of one entry, whatever becomes of it; within `admission.admit`.

    Args:
        potential: the model that was asked for.
        entry: of the request.
        request: what is asked.
        safeguards: where a relaxation is given up.
        watch: is told of the result.
        suggest: says which models know the elements of a structure that this one does not.
        course: of its relaxation.
        cache: of answers that were given before.
    """
    count_structure(entry.n_atoms)
    asked = (potential, entry, request, safeguards, course)
    result = await (_result(*asked) if cache is None else _kept_result(cache, *asked))
    if suggest and isinstance(result, UnsupportedElement):
        assert isinstance(entry.structure, Structure)
        result = UnsupportedElement(f"{result}; {suggest(entry.structure)}")
    if watch:
        watch(potential.reference, result)
    return result


async def _kept_result(
    cache: AnswerCache,
    potential: Potential,
    entry: Entry,
    request: PredictRequest,
    safeguards: Safeguards,
    course: Course,
) -> Result:
    """As `_result`, which is asked only for what is not kept; errors are not."""
    key = None
    if isinstance(entry.structure, Structure):
        key = key_of(potential, entry, entry.structure, request)
        if (kept := cache.get(potential.reference, key)) is not None:
            return kept
    result = await _result(potential, entry, request, safeguards, course)
    if key is not None and isinstance(result, Answered):
        cache.keep(key, result)
    return result


async def _result(
    potential: Potential,
    entry: Entry,
    request: PredictRequest,
    safeguards: Safeguards,
    course: Course,
) -> Result:
    if isinstance(entry.structure, EquipotError):
        return entry.structure
    if isinstance(entry.structure, Smiles):
        return InvalidStructure("a SMILES, of which no geometry has been made")
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
    structure = as_asked(structure, request.allow_odd_electrons)
    relaxed = None
    if request.relax is None:
        prediction, doubts = await _single_point(potential, structure, request)
    else:
        relaxed, doubts = await _relaxed(
            potential, structure, request, request.relax, safeguards, course
        )
        prediction = relaxed.initial
        warnings += changed_bonds(structure, relaxed.structure)
    warnings += doubts
    if warnings and request.strict:
        told = "; ".join(f"{warning.code}: {warning.message}" for warning in warnings)
        raise DoubtfulAnswer(f"{told} (an error since the request is strict)")
    return Answered(prediction, relaxed, tuple(warnings))


async def _single_point(
    potential: Potential, structure: Structure, request: PredictRequest, when: When = ""
) -> tuple[StructurePrediction, tuple[AnswerWarning, ...]]:
    """The prediction for a structure, and what of it is out of domain.

    Raises:
        OutOfDomain: something is, and the request wants that refused.
    """
    domain = Domain(potential.known, structure, when, request.on_ood)
    derivatives = request.derivatives or request.relax is not None
    prediction = await potential.predict(structure, derivatives, request.caller, domain.look)
    return domain.stated(prediction), domain.doubts(prediction)


async def _relaxed(
    potential: Potential,
    structure: Structure,
    request: PredictRequest,
    options: RelaxOptions,
    safeguards: Safeguards,
    course: Course,
) -> tuple[Relaxed, tuple[AnswerWarning, ...]]:
    """Where a relaxation ended, and what is out of domain of its first and of its last geometry.

    Raises:
        OutOfDomain: something is, and the request wants that refused; of the first geometry, before
            anything is relaxed.
    """
    if request.on_ood == "error":
        await _single_point(potential, structure, request, BEFORE)
    first = Domain(potential.known, structure, BEFORE, request.on_ood)
    ask = (options, safeguards, request.caller, first.look, course.state, course.keep)
    with span("relax"):
        relaxed = await relax(potential, structure, *ask)
    stated = replace(
        relaxed,
        initial=first.stated(relaxed.initial),
        prediction=first.stated(relaxed.prediction),
    )
    if not relaxed.steps:
        return stated, first.doubts(relaxed.initial)
    last = Domain(potential.known, relaxed.structure, AFTER, request.on_ood)
    assert relaxed.graph is not None
    await potential.graphs.show(Piece.whole(relaxed.graph), last.look)
    return stated, (*first.doubts(relaxed.initial), *last.doubts(relaxed.prediction))


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
