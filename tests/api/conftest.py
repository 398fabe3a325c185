"""Real servers, few, because each loads a model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import app.engine.load
from app.store.card import ModelCard
from tests.api.server import Gated, Running, running, skip_on_ray
from tests.paths import MODEL_STORE


@pytest.fixture(scope="session")
def service(pair_store: Path) -> Iterator[Running]:
    """A server with small limits and the real pair backend."""
    limits = {
        "max_structures": 20,
        "max_atoms": 500,
        "max_request_atoms": 1000,
        "max_body_bytes": 200_000,
    }
    with running(pair_store, **limits) as server:
        yield server


@pytest.fixture(scope="session")
def bundled() -> Iterator[Running]:
    """A server with the bundled models."""
    with running(MODEL_STORE, default_model="organic-xtb", threads=1) as server:
        yield server


@pytest.fixture
def gated(
    pair_store: Path,
    pair_card: ModelCard,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[tuple[Running, Gated]]:
    """A server with room for two structures, whose backend waits when told to."""
    skip_on_ray(request)
    backend = Gated(pair_card.model_copy(update={"version": 2}))
    monkeypatch.setattr(app.engine.load, "load_backend", lambda *_: backend)
    limits = {"models": "pairs@2", "max_structures": 3, "queue_structures": 3}
    with running(pair_store, **limits) as server:
        backend.structures = 0
        try:
            yield server, backend
        finally:
            backend.gate.set()
