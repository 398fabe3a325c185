"""The model that comes with Equipot."""

import pytest

from app.store.store import ModelStore, StoredModel
from tests.paths import MODEL_STORE


@pytest.fixture(scope="session")
def bundled() -> StoredModel:
    return ModelStore(MODEL_STORE).load("organic-xtb")
