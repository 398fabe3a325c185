"""Asking: a model, asked by way of its queue for what one structure's answer is made of."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from app.atoms.decomposition import Piece
from app.atoms.prediction import StructurePrediction
from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.backends.domain import AFTER, BEFORE, Domain, OnOod, When
from app.engine.potential import Potential
from app.errors import NotConverged, StructureTooLarge, UnsupportedCharge
from app.formats.topology import Topology
from app.relax import Held, Keep, RelaxationState, Relaxed, RelaxOptions, Safeguards, relax
from app.telemetry.tracing import span

BATCHES = 3
"""Batches whose copies may be under way: two are evaluated, one waits."""
LEAST = 6
"""Copies of one structure that may be under way however many structures are admitted."""
T = TypeVar("T")


Chemist: TypeAlias = Callable[[Mapping[str, Any], str], Awaitable[dict[str, Any]]]
"""Answers a question for the process of an `Embedder`, and is told what is wanted, for errors."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a task is with one structure.

    Attributes:
        name: what is being done, as `displaced copies`.
        done: so many of them.
        total: of so many; None where that is not known.
    """

    name: str
    done: int
    total: int | None = None


Tell: TypeAlias = Callable[[Stage], None]


class Count:
    """How many of something a task has done for one structure; belongs to one event loop.

    Args:
        what: they are, as `displaced copies`.
        total: there will be; None where that is not known.
        tell: is told whenever there are more.
    """

    def __init__(self, what: str, total: int | None, tell: Tell | None) -> None:
        self._what, self._total, self._tell, self._done = what, total, tell, 0

    @property
    def is_told(self) -> bool:
        """Whether anybody follows."""
        return self._tell is not None

    def add(self, count: int = 1, dropped: int = 0) -> None:
        """So many more are done, and so many of the total will not be."""
        self._done += count
        if self._total is not None:
            self._total -= dropped
        if self._tell is not None:
            self._tell(Stage(self._what, self._done, self._total))


@dataclass(frozen=True, slots=True)
class Course:
    """How the relaxation of an entry, or the first one of a task, begins, and who follows it.

    Attributes:
        state: of one that did not end, from which it goes on.
        keep: is told of its state every few steps.
        tell: is told how far a task is, whenever an evaluation, a relaxation or some steps of many
            have ended.
    """

    state: RelaxationState | None = None
    keep: Keep | None = None
    tell: Tell | None = None


WHOLE = Course()
"""From its beginning to its end, and nobody follows it."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A model, and for whom it is asked; within `admission.admit`.

    Attributes:
        potential: the model.
        caller: for whom; callers take turns.
        safeguards: where a relaxation, or a task, is given up.
        on_ood: whether what is out of domain is told or refused.
        course: of the relaxation that is asked for, or that a task begins with.
        topology: of the structure, where its file or its SMILES states it.
        chemist: answers what RDKit knows; None where nobody does.
        allow_odd_electrons: whether models of closed shells answer for radicals, with a warning.
    """

    potential: Potential
    caller: Hashable
    safeguards: Safeguards
    on_ood: OnOod = "warn"
    course: Course = WHOLE
    topology: Topology | None = None
    chemist: Chemist | None = None
    allow_odd_electrons: bool = False

    def odd_electrons(self, structure: Structure) -> tuple[AnswerWarning, ...]:
        """The doubt about a radical that the model is to answer for although it knows closed shells only.

        Raises:
            UnsupportedCharge: it is not to.
        """
        try:
            self.potential.card.check_electrons(structure)
        except UnsupportedCharge as error:
            if not self.allow_odd_electrons:
                raise
            return (AnswerWarning("odd_electrons", str(error).partition(": ")[0]),)
        return ()

    async def single_point(
        self, structure: Structure, derivatives: bool = True, when: When = ""
    ) -> tuple[StructurePrediction, tuple[AnswerWarning, ...]]:
        """The prediction for a structure, and what of it is out of domain.

        Raises:
            OutOfDomain: something is, and that is to be refused.
            EquipotError: as `Potential.predict`.
        """
        domain = Domain(self.potential.known, structure, when, self.on_ood)
        ask = (structure, derivatives, self.caller, domain.look)
        prediction = await self.potential.predict(*ask)
        return domain.stated(prediction), domain.doubts(prediction)

    async def relaxed(
        self,
        structure: Structure,
        options: RelaxOptions,
        held: Held | None = None,
        course: Course = WHOLE,
    ) -> tuple[Relaxed, tuple[AnswerWarning, ...]]:
        """Where a relaxation ended, and what is out of domain of its first and its last geometry.

        Args:
            structure: where to begin.
            options: how to relax.
            held: an internal coordinate that keeps its value.
            course: how it begins, and who follows it.

        Raises:
            OutOfDomain: something is, and that is to be refused; of the first geometry, before
                anything is relaxed.
            EquipotError: as `relax`.
        """
        if self.on_ood == "error":
            await self.single_point(structure, when=BEFORE)
        first = Domain(self.potential.known, structure, BEFORE, self.on_ood)
        ask = (options, self.safeguards, self.caller, first.look, course.state, course.keep)
        with span("relax"):
            relaxed = await relax(self.potential, structure, *ask, held)
        stated = replace(
            relaxed,
            initial=first.stated(relaxed.initial),
            prediction=first.stated(relaxed.prediction),
        )
        if not relaxed.steps:
            return stated, first.doubts(relaxed.initial)
        last = Domain(self.potential.known, relaxed.structure, AFTER, self.on_ood)
        assert relaxed.graph is not None
        await self.potential.graphs.show(Piece.whole(relaxed.graph), last.look)
        return stated, (*first.doubts(relaxed.initial), *last.doubts(relaxed.prediction))

    async def minimum(
        self, structure: Structure, options: RelaxOptions, course: Course = WHOLE
    ) -> tuple[Relaxed, tuple[AnswerWarning, ...]]:
        """The minimum that a relaxation leads to, and what is out of domain on the way.

        Args:
            structure: where to begin.
            options: how to relax.
            course: how it begins, and who follows it; `self.course` of what a task begins with.

        Raises:
            NotConverged: it did not end there.
            EquipotError: as `relaxed`.
        """
        relaxed, doubts = await self.relaxed(structure, options, course=course)
        if not relaxed.converged:
            raise NotConverged(
                f"the relaxation ended after {relaxed.steps} steps without a minimum "
                f"({relaxed.reason}; {relaxed.criterion}, {relaxed.fmax:.3g} eV/Å are left); "
                f"{remedy(relaxed, 'begin with a better geometry')}"
            )
        return relaxed, doubts

    def count(self, what: str, total: int | None = None) -> Count:
        """Counts something for whoever follows the task, from none on."""
        return Count(what, total, self.course.tell)

    async def predict(
        self, structures: Sequence[Structure], what: str, count: Count | None = None
    ) -> list[StructurePrediction]:
        """Energies, forces and stress of copies of one structure, in as few batches as they take.

        Args:
            structures: all with as many atoms.
            what: they are, for an error and for who follows.
            count: of those that were asked for before and will be; None where these are all.

        Raises:
            StructureTooLarge: more than one structure's answer may take.
            EquipotError: one of them has no answer.
        """
        self.check(len(structures), what)

        async def one(structure: Structure) -> StructurePrediction:
            return await self.potential.predict(structure, caller=self.caller)

        return await self.each(one, structures, count or self.count(what, len(structures)))

    async def each(
        self,
        work: Callable[[Structure], Awaitable[T]],
        structures: Sequence[Structure],
        count: Count | None,
    ) -> list[T]:
        """What some work gives for each of some structures, with a few batches of them under way.

        Args:
            work: on one structure, by way of the model's queue.
            structures: about as large as each other.
            count: counts those that ended; None where the work tells how far it is.

        Raises:
            Exception: of one of them, at once.
        """

        async def counted(structure: Structure) -> T:
            found = await work(structure)
            if count is not None:
                count.add()
            return found

        begun: list[asyncio.Future[T]] = []
        under_way: set[asyncio.Future[T]] = set()
        try:
            for structure in structures:
                while len(under_way) >= self._width(len(structure)):
                    over, under_way = await asyncio.wait(
                        under_way, return_when=asyncio.FIRST_COMPLETED
                    )
                    for each in over:
                        each.result()
                begun.append(asyncio.ensure_future(counted(structure)))
                under_way.add(begun[-1])
            return await asyncio.gather(*begun)
        finally:
            for each in begun:
                each.cancel()
            await asyncio.gather(*begun, return_exceptions=True)

    def _width(self, atoms: int) -> int:
        """Copies with so many atoms that may be under way: the share of this structure of some batches,
        among all that are admitted.
        """
        budget, (admitted, _) = self.potential.workers.budget, self.potential.admission.admitted
        fitting = min(budget.structures, budget.atoms / atoms)
        return max(LEAST, int(BATCHES * fitting / max(1, admitted)))

    def check(self, count: int, what: str) -> None:
        """Whether one structure's answer may take so many evaluations.

        Raises:
            StructureTooLarge: it may not.
        """
        check_evaluations(count, what, self.safeguards.max_evaluations)


def check_evaluations(count: int, what: str, most: int) -> None:
    """Whether one structure's answer may take so many evaluations.

    Raises:
        StructureTooLarge: it may not.
    """
    if count > most:
        raise StructureTooLarge(
            f"the task takes {count} {what}; at most {most} are allowed (max_task_evaluations)"
        )


def remedy(relaxed: Relaxed, start: str) -> str:
    """What may help a relaxation that did not end in a minimum.

    Args:
        relaxed: where it ended.
        start: how it may begin otherwise.
    """
    if relaxed.reason == "steps":
        return f"state more max_steps, or {start}"
    return f"more steps do not help: {start}, or ask another model"
