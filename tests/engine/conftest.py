"""A backend that does as it is told."""

import pytest

from app.store.card import ModelCard
from tests.engine.scripted import Scripted


@pytest.fixture
def backend(pair_card: ModelCard) -> Scripted:
    """The pair backend, with a gate and faults."""
    return Scripted(pair_card)
