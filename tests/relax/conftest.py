"""The backend that structures are relaxed with."""

import pytest

from app.backends.pair import PairBackend
from app.store.card import ModelCard


@pytest.fixture
def backend(pair_card: ModelCard) -> PairBackend:
    return PairBackend(pair_card)
