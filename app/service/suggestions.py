"""Suggestions: which served models may answer a structure that the one which was asked refuses."""

from collections.abc import Iterable, Sequence

from app.atoms.structure import Structure
from app.backends.domain import OnOod, can_tell
from app.errors import InputError
from app.store.card import ModelCard

TOLD = 5
"""Models that a message names."""


def who_knows(cards: Iterable[ModelCard], structure: Structure, on_ood: OnOod = "warn") -> str:
    """Names of the models that have all elements of a structure, in words.

    Args:
        cards: of the models that are served.
        structure: with an element that the model asked for does not know.
        on_ood: where it is `error`, those that can tell what is out of domain come before others.
    """
    able = [c for c in cards if c.species_of_numbers[structure.numbers].min(initial=0) >= 0]
    if not able:
        return "no model that is served has all elements of the structure"
    telling = [card for card in able if on_ood == "warn" or can_tell(card)]
    if not telling:
        return _untold("have all elements of the structure", able)
    return (
        "of the models that are served, these have all elements of the structure: "
        f"{_names(telling)}"
    )


def who_was_left_out(cards: Iterable[ModelCard], structure: Structure) -> str:
    """Names of the models that would answer, but cannot tell what is out of domain; empty where
    there are none.

    Args:
        cards: of the models that are served.
        structure: that all others refuse.
    """
    able = [card for card in cards if not can_tell(card) and _answers(card, structure)]
    return _untold("would answer", able) if able else ""


def _answers(card: ModelCard, structure: Structure) -> bool:
    try:
        card.check(structure)
        card.check_electrons(structure)
    except InputError:
        return False
    return True


def _untold(what: str, cards: Sequence[ModelCard]) -> str:
    return (
        f"of the models that are served, these {what}, but cannot tell what is out of their domain, "
        f"and answer where on_ood is not error: {_names(cards)}"
    )


def _names(cards: Sequence[ModelCard]) -> str:
    names = list(dict.fromkeys(card.name for card in cards))
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(names[:TOLD]) + more
