"""What a structure has that the training data never held."""

import numpy as np
import pytest

from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure
from app.backends.domain import doubts
from app.store.card import ModelCard, TrainingRange

RANGE = TrainingRange(
    most_atoms=3,
    closest={"O-H": 0.9, "H-H": 1.4},
    farthest={"O": 1.2, "H": 1.2},
)


@pytest.fixture
def card(pair_card: ModelCard) -> ModelCard:
    return pair_card.model_copy(update={"trained_on": RANGE})


def water(bond: float, **more: object) -> Structure:
    angle = np.deg2rad(104.5)
    ends = [[0, 0, 0], [bond, 0, 0], [bond * np.cos(angle), bond * np.sin(angle), 0]]
    return Structure(np.array([8, 1, 1]), np.array(ends), **more)  # type: ignore[arg-type]


def told(card: ModelCard, structure: Structure) -> dict[str, str]:
    graph = build_graph(structure, card.cutoff)
    return {warning.code: warning.message for warning in doubts(card, graph)}


def test_within_the_range_nothing_is_said(card: ModelCard, pair_card: ModelCard) -> None:
    assert told(card, water(0.96)) == {}
    assert told(pair_card, water(0.5)) == {}
    assert told(card, Structure(np.array([8]), np.zeros((1, 3)))) == {}


def test_atoms_that_are_too_close(card: ModelCard) -> None:
    message = told(card, water(0.7))["extrapolated_distance"]
    assert "atoms 0 and 1 (O-H) are 0.70 Å apart; the training data begin at 0.90 Å" in message
    assert "H-H" in message


def test_atoms_that_are_too_far(card: ModelCard) -> None:
    assert (
        "atom 0 (O) is 1.60 Å from its nearest" in told(card, water(1.6))["extrapolated_distance"]
    )
    apart = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 50.0]]))
    assert "over 6 Å from its nearest neighbour" in told(card, apart)["extrapolated_distance"]


def test_pairs_that_were_never_seen(card: ModelCard) -> None:
    peroxide = Structure(np.array([8, 8]), np.array([[0.0, 0, 0], [0, 0, 1.1]]))
    assert "no pair O-O is in the training data" in told(card, peroxide)["extrapolated_distance"]


def test_more_atoms_than_any(card: ModelCard) -> None:
    two = water(0.96).positions
    both = Structure(
        np.tile(water(0.96).numbers, 2), np.concatenate([two, two + np.array([4.0, 0, 0])])
    )
    assert "6 atoms; the largest" in told(card, both)["extrapolated_size"]
