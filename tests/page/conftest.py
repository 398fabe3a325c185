"""Real services, and a real browser."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import app.engine.load
from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.backends.pair import PairBackend
from app.store.card import ModelCard
from app.store.store import ModelStore
from app.store.training_range import TrainingRange
from tests.api.server import Running, running
from tests.page.browser import Visit, chromium, visiting
from tests.paths import MODEL_STORE

Go = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser of a module's tests: while it is there, the thread has an event loop."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with the bundled models and with jobs."""
    folder = tmp_path_factory.mktemp("jobs")
    with running(
        MODEL_STORE, default_model="organic-xtb", threads=1, jobs_folder=folder
    ) as service:
        yield service


@pytest.fixture(scope="module")
def go(browser: Any, bundled: Running) -> Go:
    """Visits the page of the service with the bundled models."""
    return partial(visiting, browser, f"http://127.0.0.1:{bundled.port}/")


class Uncertain(PairBackend):
    """The pair backend, which is the less certain of a force the later its atom comes."""

    def __call__(self, graph: Graph) -> Prediction:
        prediction = super().__call__(graph)
        atoms, structures = len(graph.numbers), len(graph.n_atoms)
        errors = np.arange(atoms) / 10
        return replace(
            prediction, energy_variance=np.full(structures, 0.25**2), force_errors=errors
        )


@pytest.fixture
def doubting(
    tmp_path: Path, pair_card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    """A service whose model was trained on argon from 3.6 to 4.2 Å, and says how uncertain it is."""
    trained_on = TrainingRange(
        most_atoms=3, closest={"Ar-Ar": 3.6}, farthest={"Ar": 4.2}, periodic=False, charges=(0,)
    )
    card = pair_card.model_copy(update={"trained_on": trained_on})
    with ModelStore(tmp_path).publish(card):
        pass
    monkeypatch.setattr(app.engine.load, "load_backend", lambda *_: Uncertain(card))
    with running(tmp_path) as service:
        yield service
