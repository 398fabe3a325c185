"""Backends that tasks are done with."""

import pytest

from app.backends import Backend, load_backend
from app.backends.pair import PairBackend
from app.store.card import ModelCard
from app.store.store import ModelStore
from tests.paths import MODEL_STORE


@pytest.fixture(scope="session")
def argon(pair_card: ModelCard) -> PairBackend:
    return PairBackend(pair_card)


@pytest.fixture(scope="session")
def organic() -> Backend:
    return load_backend(ModelStore(MODEL_STORE).load("organic-xtb"), threads=1)
