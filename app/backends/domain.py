"""Domain: what a structure has that a model's training data never held.

Distances, kinds of atoms, size, periodicity and charge are compared with the card's `trained_on`
before anything is evaluated, forces after it. A model that estimates its errors says itself of each
atom how new it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from app.atoms.decomposition import Piece
from app.atoms.prediction import StructurePrediction
from app.atoms.regions import Whole
from app.atoms.structure import Structure
from app.atoms.warnings import AnswerWarning
from app.backends.findings import Tables, joined, novel, strong, uncertain
from app.backends.geometry import Findings
from app.errors import InvalidRequest, OutOfDomain
from app.store.card import ModelCard
from app.store.training_range import TrainingRange

OnOod: TypeAlias = Literal["warn", "error"]
"""What becomes of a structure that is out of domain."""
When: TypeAlias = Literal["", "before the relaxation: ", "after the relaxation: "]
BEFORE: Final = "before the relaxation: "
AFTER: Final = "after the relaxation: "


class Known:
    """What a model's training data held: of its card, and as tables to look up.

    Args:
        card: of the model.

    Attributes:
        trained_on: of the card; None where it does not know.
        tables: the same; None, too.
        usual_forces: eV/Å, of the card's `uncertainty`; None where it has none.
    """

    def __init__(self, card: ModelCard) -> None:
        self.trained_on = card.trained_on
        self.tables = Tables(card.trained_on, card.cutoff) if card.trained_on else None
        self.usual_forces = None if card.uncertainty is None else card.uncertainty.usual_forces


class Domain:
    """Compares one structure with what the model's training data held.

    Nothing is told where that is not known.

    Args:
        known: what they held.
        structure: what is asked about.
        when: which of two geometries of a relaxation it is; begins each message.
        on_ood: `error` ends the first comparison that finds something.
    """

    def __init__(
        self, known: Known, structure: Structure, when: When = "", on_ood: OnOod = "warn"
    ) -> None:
        self._known, self._structure, self._when, self._on_ood = known, structure, when, on_ood
        self._whole = Whole.of(structure)
        self._found = Findings()

    def look(self, shown: Piece | Findings) -> None:
        """Compare the atoms of a graph, whole or a piece of the structure, before it is evaluated;
        or take what was found in parts of it elsewhere.

        Raises:
            OutOfDomain: something was not in the training data, and `on_ood` is `error`.
        """
        if self._known.tables is None:
            return
        if isinstance(shown, Findings):
            self._found.add(shown)
        else:
            self._found.look(self._known.tables, shown)
        if self._on_ood == "error":
            self._check(self._of_geometry())

    def doubts(self, prediction: StructurePrediction) -> tuple[AnswerWarning, ...]:
        """What was found in all that was looked at, and in the prediction.

        Raises:
            OutOfDomain: there is something, and `on_ood` is `error`.
        """
        of_answer = doubts_of_answer(self._known, self._structure, prediction)
        told = (
            *self._of_geometry(),
            *(AnswerWarning(each.code, self._when + each.message) for each in of_answer),
        )
        if self._on_ood == "error":
            self._check(told)
        return told

    def stated(self, prediction: StructurePrediction) -> StructurePrediction:
        """The prediction with the estimates of its errors that can be stated: with a charge that no
        structure of the training data had there are none, since they were fitted to those that had.
        """
        if not any(_of_charge(self._known.trained_on, self._whole)):
            return prediction
        return replace(prediction, energy_variance=None, force_errors=None)

    def _of_geometry(self) -> tuple[AnswerWarning, ...]:
        tables = self._known.tables
        found = () if tables is None else self._found.told(tables, self._structure.charge)
        texts = [self._when + text for text in found]
        if self._known.trained_on is not None and self._when != AFTER:
            texts = [*_of_the_whole(self._known.trained_on, self._whole), *texts]
        return tuple(AnswerWarning("out_of_domain", text) for text in texts)

    def _check(self, warnings: tuple[AnswerWarning, ...]) -> None:
        if warnings:
            told = "; ".join(warning.message for warning in warnings)
            raise OutOfDomain(f"{told} (an error since on_ood is error)")


def can_tell(card: ModelCard) -> bool:
    """Whether a model can tell what is out of its domain."""
    return card.trained_on is not None or card.uncertainty is not None


def check_on_ood(cards: Sequence[ModelCard], on_ood: OnOod) -> None:
    """Whether any of the models can tell what the request wants to know.

    Raises:
        InvalidRequest: out of domain is to be an error, and no card says what its model was trained
            on, nor a model what is new to it.
    """
    if on_ood == "error" and not any(map(can_tell, cards)):
        names = ", ".join(f"'{card.reference}'" for card in cards)
        told = (
            f"model {names} cannot tell what is out of its domain, since its card has neither "
            "trained_on nor uncertainty"
            if len(cards) == 1
            else f"none of the models {names} can tell what is out of its domain, since no card has "
            "trained_on or uncertainty"
        )
        raise InvalidRequest(f"on_ood: {told}; leave on_ood away, or ask another model")


def is_known_as_a_whole(known: Known, structure: Structure) -> bool:
    """Whether nothing that can be told of a structure without its distances is out of domain: its
    elements, size, periodicity and charge, and whether it is a single atom.

    Args:
        known: what the training data held.
        structure: N atoms.
    """
    if known.trained_on is None or known.tables is None:
        return True
    if any(_of_the_whole(known.trained_on, Whole.of(structure))):
        return False
    numbers = structure.numbers
    if len(structure) == 1 and not structure.pbc.any():
        return bool(known.tables.alone[numbers[0]])
    return bool((known.tables.farthest[numbers] > 0).all())


def doubts_of_answer(
    known: Known, structure: Structure, prediction: StructurePrediction
) -> tuple[AnswerWarning, ...]:
    """What the prediction itself says of its being out of domain.

    Args:
        known: what the training data held.
        structure: N atoms.
        prediction: for them.
    """
    texts = []
    if known.tables is not None and prediction.forces is not None:
        texts.append(joined(strong(known.tables, structure.numbers, prediction.forces)))
    if known.usual_forces is not None and prediction.force_errors is not None:
        texts.append(uncertain(known.usual_forces, prediction.force_errors))
    if prediction.novelty is not None:
        texts.append(joined(novel(structure.numbers, prediction.novelty)))
    return tuple(AnswerWarning("out_of_domain", text) for text in texts if text)


def doubts_of_geometry(known: Known, whole: Whole, findings: Findings) -> tuple[AnswerWarning, ...]:
    """What is out of domain of a structure of which only parts were in memory, and these were looked
    at.

    Args:
        known: what the training data held.
        whole: the structure.
        findings: of all of its parts.
    """
    if known.trained_on is None:
        return ()
    found = () if known.tables is None else findings.told(known.tables, whole.charge)
    texts = (*_of_the_whole(known.trained_on, whole), *found)
    return tuple(AnswerWarning("out_of_domain", text) for text in texts)


def _of_the_whole(trained_on: TrainingRange, whole: Whole) -> Iterator[str]:
    """What is told of the structure apart from its geometry."""
    molecular = not whole.pbc.any()
    if whole.n_atoms > trained_on.most_atoms and molecular and trained_on.molecular is not False:
        yield (
            f"the structure has {whole.n_atoms} atoms; the largest that the model was trained on "
            f"has {trained_on.most_atoms}"
        )
    if not molecular and trained_on.periodic is False:
        yield "the structure is periodic, and the model was trained on molecules only"
    if molecular and trained_on.molecular is False:
        yield "the structure is a molecule, and the model was trained on periodic structures only"
    yield from _of_charge(trained_on, whole)


def _of_charge(trained_on: TrainingRange | None, whole: Whole) -> Iterator[str]:
    """What is told of the total charge."""
    charges = None if trained_on is None else trained_on.charges
    if charges is not None and whole.charge not in charges and whole.n_atoms > 1:
        known = ", ".join(map(str, charges))
        yield (f"the structure has charge {whole.charge}; those of the training data are {known}")
