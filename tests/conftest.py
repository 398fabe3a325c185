"""Fixtures that several parts of the suite share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from app.store.card import ModelCard, PairParameters
from app.store.store import ModelStore
from tests.api.server import Where
from tests.cluster.two_nodes import engines_on, two_nodes

settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")

SIGMAS = {"Ar": 3.4, "Ne": 2.8, "H": 1.0, "C": 1.5, "N": 1.45, "O": 1.4}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--ray`."""
    parser.addoption(
        "--ray",
        action="store_true",
        help="servers in threads have their models run by replicas of a Ray cluster of two nodes",
    )


@pytest.fixture(scope="session", autouse=True)
def engines(request: pytest.FixtureRequest) -> Iterator[None]:
    """What runs the models of servers."""
    if not request.config.getoption("--ray"):
        yield
        return
    with two_nodes() as address, engines_on(address) as Where.engines:
        yield


@pytest.fixture(scope="session")
def pair_card() -> ModelCard:
    """A Lennard-Jones model that costs nothing to load or evaluate."""
    return ModelCard(
        name="pairs",
        version=1,
        description="Lennard-Jones for tests",
        architecture="lennard-jones",
        backend="pair",
        elements=tuple(SIGMAS),
        atomic_energies={},
        cutoff=6.0,
        receptive_field=6.0,
        dtype="float64",
        pair={
            symbol: PairParameters(epsilon=0.01, sigma=sigma) for symbol, sigma in SIGMAS.items()
        },
    )


@pytest.fixture(scope="session")
def pair_store(tmp_path_factory: pytest.TempPathFactory, pair_card: ModelCard) -> Path:
    """A store with two versions of the pair model."""
    root = tmp_path_factory.mktemp("store")
    for version in (1, 2):
        with ModelStore(root).publish(pair_card.model_copy(update={"version": version})):
            pass
    return root
