"""Answering a request: each structure gets its prediction or its own error."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TypeAlias

from app.atoms.structure import Structure
from app.engine.potential import Potential
from app.errors import (
    DoubtfulAnswer,
    EquipotError,
    InputError,
    InvalidStructure,
    UnsupportedCharge,
    UnsupportedElement,
)
from app.formats.notation import Smiles
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry, PredictRequest
from app.protocol.response import Answered, PredictResponse, Result
from app.relax import Safeguards
from app.relax.bonds import changed_bonds
from app.service.answer_cache import AnswerCache, key_of
from app.service.choice import Choice, as_asked, ref_of
from app.service.elsewhere import Elsewhere
from app.tasks import WHOLE, Asking, Chemist, Course
from app.telemetry.context import count_structure

log = logging.getLogger(__name__)

Watch: TypeAlias = Callable[[str, Result], None]
"""Is told of a result, and of the model that was asked for it."""
Suggest: TypeAlias = Callable[[Structure, PredictRequest, InputError], str]
"""Says of a structure whose model refuses it, of what was asked and why, who may answer it instead;
empty where nothing can be said.
"""


@dataclass(frozen=True, slots=True)
class Aids:
    """What answers need beside a model.

    Attributes:
        safeguards: where a relaxation, or a task, is given up.
        watch: is told of each result.
        suggest: says of a structure that its model refuses who may answer it.
        chemist: answers what RDKit knows.
        cache: of answers that were given before.
        elsewhere: answers in the place of this process.
    """

    safeguards: Safeguards
    watch: Watch | None = None
    suggest: Suggest | None = None
    chemist: Chemist | None = None
    cache: AnswerCache | None = None
    elsewhere: Elsewhere | None = None


async def answer(choice: Choice, request: PredictRequest, aids: Aids) -> PredictResponse:
    """The results of all entries, in their order. One that fails costs the others nothing.

    Args:
        choice: the model that was asked for, or those of which each structure has its own.
        request: what is asked.
        aids: what answers need beside a model.

    Raises:
        Overloaded: the queue of a model is full; nothing is answered.
        Unavailable: the service is shutting down.
    """

    async def one(entry: Entry, potential: Potential) -> Result:
        return await result_of(potential, entry, request, aids)

    entries = request.entries
    if len(entries) == 1:
        entry, potential = entries[0], choice.potential(entries[0], request)
        structures = int(isinstance(entry.structure, Structure))
        with potential.admission.admit(structures, entry.n_atoms, request.caller):
            return PredictResponse(ref_of(potential), request, [await one(entry, potential)])
    potentials = [choice.potential(entry, request) for entry in entries]
    model, request = _named(choice, request, potentials)
    with ExitStack() as places:
        for potential, (structures, atoms) in _loads(entries, potentials).items():
            places.enter_context(potential.admission.admit(structures, atoms, request.caller))
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
    aids: Aids,
    course: Course = WHOLE,
) -> Result:
    """The result of one entry, whatever becomes of it; within `admission.admit`.

    Args:
        potential: the model that was asked for.
        entry: of the request.
        request: what is asked.
        aids: what answers need beside a model.
        course: of its relaxation.
    """
    count_structure(entry.n_atoms)
    asked = (potential, entry, request, aids, course)
    result = await (_result(*asked) if aids.cache is None else _kept_result(aids.cache, *asked))
    if (
        aids.suggest
        and isinstance(result, UnsupportedElement | UnsupportedCharge)
        and isinstance(entry.structure, Structure)
        and (hint := aids.suggest(entry.structure, request, result))
    ):
        result = type(result)(f"{result}; {hint}")
    if aids.watch:
        aids.watch(potential.reference, result)
    return result


async def _kept_result(
    cache: AnswerCache,
    potential: Potential,
    entry: Entry,
    request: PredictRequest,
    aids: Aids,
    course: Course,
) -> Result:
    """As `_result`, which is asked only for what is not kept; errors are not."""
    key = None
    if isinstance(entry.structure, Structure):
        key = key_of(potential, entry, entry.structure, request)
        if (kept := cache.get(potential.reference, key)) is not None:
            return kept
    result = await _result(potential, entry, request, aids, course)
    if key is not None and isinstance(result, Answered):
        cache.keep(key, result)
    return result


async def _result(
    potential: Potential,
    entry: Entry,
    request: PredictRequest,
    aids: Aids,
    course: Course,
) -> Result:
    if isinstance(entry.structure, EquipotError):
        return entry.structure
    if isinstance(entry.structure, Smiles):
        return InvalidStructure("a SMILES, of which no geometry has been made")
    try:
        if aids.elsewhere is not None:
            return await aids.elsewhere.answered(potential, entry, request)
        return await _answered(potential, entry, entry.structure, request, aids, course)
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
    aids: Aids,
    course: Course,
) -> Answered:
    asking = Asking(
        potential,
        request.caller,
        aids.safeguards,
        request.on_ood,
        course,
        entry.topology,
        aids.chemist,
        request.allow_odd_electrons,
    )
    warnings = [*entry.warnings, *asking.odd_electrons(structure)]
    structure = as_asked(structure, request.allow_odd_electrons)
    relaxed, value = None, None
    if request.task is not None:
        done = await request.task.run(asking, structure)
        value, doubts, prediction = done.value, done.warnings, done.relaxed.initial
        relaxed = done.relaxed if done.relaxes else None
    elif request.relax is not None:
        relaxed, doubts = await asking.relaxed(structure, request.relax, course=course)
    else:
        prediction, doubts = await asking.single_point(structure, request.derivatives)
    if relaxed is not None:
        prediction = relaxed.initial
        warnings += changed_bonds(structure, relaxed.structure)
    warnings += doubts
    if warnings and request.strict:
        told = "; ".join(f"{warning.code}: {warning.message}" for warning in warnings)
        raise DoubtfulAnswer(f"{told} (an error since the request is strict)")
    return Answered(prediction, relaxed, tuple(warnings), value)
