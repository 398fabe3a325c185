"""Which of several models a structure has, by cards alone."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.atoms.structure import Structure
from app.backends.domain import Known
from app.errors import InvalidRequest
from app.protocol.request import Entry, PredictRequest
from app.service.choice import Choice
from app.service.suggestions import who_was_left_out
from app.store.card import ModelCard
from app.store.training_range import TrainingRange

BOX = 20.0 * np.eye(3)


def model(base: ModelCard, name: str, elements: str, **given: Any) -> Any:
    """What a choice asks of a model: its card, and what it knows."""
    symbols = tuple(elements.split())
    changed = {"name": name, "elements": symbols, "pair": {}, "backend": "onnx", **given}
    card = base.model_copy(update=changed)
    return SimpleNamespace(card=card, digest="d", known=Known(card), check=card.check)


def trained(elements: str, **given: Any) -> TrainingRange:
    held = dict.fromkeys(elements.split(), 4.0)
    return TrainingRange(**{"most_atoms": 5, "closest": {}, "farthest": held, **given})


def chosen(models: list[Any], structure: Structure, **asked: Any) -> str:
    choice = Choice(models, asked.get("on_ood", "warn"))
    return str(choice.potential(Entry(None, structure), PredictRequest([], **asked)).card.name)


def atoms(numbers: list[int], cell: np.ndarray | None = None, **given: Any) -> Structure:
    """Atoms on a line."""
    positions = 1.5 * np.arange(3 * len(numbers)).reshape(-1, 3)
    periodic = np.array(cell is not None)
    return Structure(
        np.array(numbers), positions, np.zeros((3, 3)) if cell is None else cell, periodic, **given
    )


@pytest.fixture
def models(pair_card: ModelCard) -> list[Any]:
    """One of neutral and negative molecules, one of crystals, and one that says nothing of itself."""
    molecules = trained("H C O", periodic=False, charges=(-1, 0), alone=("H",))
    crystals = trained("C O Si", molecular=False, periodic=True)
    known = {"closed_shell": True, "takes_charge": True, "trained_on": molecules}
    return [
        model(pair_card, "molecules", "H C O Si", **known),
        model(pair_card, "crystals", "C O Si", closed_shell=False, trained_on=crystals),
        model(pair_card, "anything", "H C O Si Cu", closed_shell=False),
    ]


@pytest.mark.parametrize(
    ("structure", "name"),
    [
        (atoms([6, 8]), "molecules"),
        (atoms([6, 8], BOX), "crystals"),
        (atoms([14, 8]), "anything"),
        (atoms([6] * 6), "anything"),
        (atoms([8, 1], charge=-1), "molecules"),
        (atoms([6, 8], charge=2), "molecules"),
        (atoms([1]), "anything"),
        (atoms([6]), "anything"),
        (atoms([8, 1]), "anything"),
        (atoms([29], BOX), "anything"),
    ],
    ids=[
        *("a molecule", "a crystal", "an element that was only listed", "too many atoms"),
        *(
            "an ion",
            "a charge that nobody else takes",
            "a radical atom",
            "an atom never seen alone",
        ),
        *("a radical", "an element that only the last has"),
    ],
)
def test_the_first_that_is_made_for_it(models: list[Any], structure: Structure, name: str) -> None:
    assert chosen(models, structure) == name


def test_where_all_have_a_doubt_the_first_that_can_answer(models: list[Any]) -> None:
    assert chosen(models[:2], atoms([6] * 6)) == "molecules"
    assert chosen(models[:2], atoms([8, 1])) == "molecules"  # nobody can
    assert chosen(models[1:2] + models[:1], atoms([6, 8, 1, 1, 1, 1])) == "molecules"


def test_a_radical_that_is_to_be_answered_has_the_first_that_has_no_doubt(
    models: list[Any],
) -> None:
    radical = atoms([8, 1], multiplicity=2)
    assert chosen(models, radical, allow_odd_electrons=True) == "anything"
    assert chosen(models[:2], radical, allow_odd_electrons=True) == "molecules"


def test_who_cannot_tell_is_left_out_where_doubts_are_errors(models: list[Any]) -> None:
    assert chosen(models[::-1], atoms([6, 8])) == "anything"
    assert chosen(models[::-1], atoms([6, 8]), on_ood="error") == "molecules"
    with pytest.raises(InvalidRequest, match="'anything@1' cannot tell"):
        Choice(models[2:], "error")
    other = model(models[2].card, "other", "H")
    with pytest.raises(InvalidRequest, match="none of the models 'anything@1', 'other@1' can tell"):
        Choice([models[2], other], "error")


def test_who_was_left_out_is_named_where_the_others_refuse(models: list[Any]) -> None:
    cards = [each.card for each in models]
    radical, ion = atoms([8, 1]), atoms([14, 14], BOX, charge=1)
    assert who_was_left_out(cards, radical).endswith("where on_ood is not error: anything")
    assert who_was_left_out(cards, ion) == ""


def test_only_what_is_one_of_several_is_named(models: list[Any]) -> None:
    entry = Entry("co", atoms([6, 8]))
    several, one = Choice(models), Choice(models[:1])
    named = several.named(entry, several.potential(entry, PredictRequest([])))
    assert named.model is not None
    assert named.model.reference == "molecules@1"
    assert one.named(entry, models[0]) is entry
    assert several.only is None
    assert one.only == named.model
