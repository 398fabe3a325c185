"""Suggestions: which served models know all elements of a structure that another one does not."""

from collections.abc import Iterable

from app.atoms.structure import Structure
from app.store.card import ModelCard

TOLD = 5
"""Models that a message names."""


def who_knows(cards: Iterable[ModelCard], structure: Structure) -> str:
    """Names of the models that have all elements of a structure, in words.

    Args:
        cards: of the models that are served.
        structure: with an element that the model asked for does not know.
    """
    names = dict.fromkeys(
        card.name
        for card in cards
        if card.species_of_numbers[structure.numbers].min(initial=0) >= 0
    )
    if not names:
        return "no model that is served has all elements of the structure"
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    named = ", ".join(list(names)[:TOLD])
    return f"of the models that are served, these have all elements of the structure: {named}{more}"
