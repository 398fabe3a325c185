"""Choice: which of several default models answers a structure, of a request that names none.

Of the models in their order, it is the first that can answer the structure (elements, charge,
electrons, size), and whose training data held such a one as far as its card says that without
distances (`app.backends.domain.is_known_as_a_whole`). Where all have a doubt, it is the first that can
answer; where none can, the first one, whose error the structure gets.

Nothing else is looked at: the same structure, asked alike, has the same model whatever is asked beside
it, and a job that goes on after a restart has it again.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from app.atoms.structure import Structure
from app.backends.domain import OnOod, can_tell, check_on_ood, is_known_as_a_whole
from app.engine.potential import Potential
from app.errors import InputError
from app.protocol.model_ref import ModelRef
from app.protocol.request import Entry, PredictRequest


def ref_of(potential: Potential) -> ModelRef:
    """Which model it is, for answers."""
    return ModelRef(potential.card.name, potential.card.version, potential.digest)


class Choice:
    """The models that may answer a request.

    Args:
        potentials: the one that it names, or the defaults in their order.
        on_ood: whether what is out of domain is to be an error; models that cannot tell are left out.

    Raises:
        InvalidRequest: it is to be an error, and none of the models can tell.

    Attributes:
        potentials: those that are left.
        is_open: whether there are several.
    """

    def __init__(self, potentials: Sequence[Potential], on_ood: OnOod = "warn") -> None:
        self.potentials = tuple(potentials)
        if on_ood == "error":
            self.potentials = tuple(p for p in potentials if can_tell(p.card))
            check_on_ood([potential.card for potential in potentials], on_ood)
        self.is_open = len(self.potentials) > 1

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """All of them, for answers."""
        return tuple(map(ref_of, self.potentials))

    @property
    def only(self) -> ModelRef | None:
        """The one model; None where there are several."""
        return None if self.is_open else ref_of(self.potentials[0])

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have all of them answer until the block ends, though others may not ask them any more."""
        with ExitStack() as stack:
            for potential in self.potentials:
                stack.enter_context(potential.admission.hold())
            yield

    def potential(self, entry: Entry, request: PredictRequest) -> Potential:
        """The model of an entry, for what a request asks; the first where that is no structure."""
        if not self.is_open or not isinstance(entry.structure, Structure):
            return self.potentials[0]
        structure = entry.structure
        asked = as_asked(structure, request.allow_odd_electrons)
        able = [each for each in self.potentials if _can_answer(each, asked)]
        closed = [each for each in able if _has_electrons(each, structure)]
        known = (each for each in closed if is_known_as_a_whole(each.known, structure))
        answering = able if request.allow_odd_electrons else closed
        return next(known, next(iter(answering), self.potentials[0]))

    def named(self, entry: Entry, potential: Potential) -> Entry:
        """The entry, which says by which of several models it is answered."""
        if not self.is_open or not isinstance(entry.structure, Structure):
            return entry
        return replace(entry, model=ref_of(potential))


def as_asked(structure: Structure, allow_odd_electrons: bool) -> Structure:
    """The structure as a model is asked for it: a radical, where it is to be answered, has no spin
    stated, as any odd number of electrons has.
    """
    if allow_odd_electrons and structure.multiplicity == 2:
        return replace(structure, multiplicity=None)
    return structure


def _can_answer(potential: Potential, structure: Structure) -> bool:
    try:
        potential.check(structure)
    except InputError:
        return False
    return True


def _has_electrons(potential: Potential, structure: Structure) -> bool:
    try:
        potential.card.check_electrons(structure)
    except InputError:
        return False
    return True
