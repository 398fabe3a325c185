"""Real servers for the client."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.engine.load
from app.store.card import ModelCard
from equipot import Client
from tests.api.server import Gated, Running, running
from tests.paths import MODEL_STORE


@pytest.fixture(scope="session")
def service(pair_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with the pair model, which takes jobs."""
    with running(pair_store, jobs_folder=tmp_path_factory.mktemp("jobs")) as server:
        yield server


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with the bundled models, which takes jobs."""
    folder = tmp_path_factory.mktemp("jobs")
    with running(MODEL_STORE, default_model="organic-xtb", threads=1, jobs_folder=folder) as server:
        yield server


def url(server: Running) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
def client(service: Running) -> Iterator[Client]:
    with Client(url(service)) as client:
        yield client


@pytest.fixture
def silent() -> Iterator[tuple[str, list[socket.socket]]]:
    """The address of a server that accepts connections and says nothing, and the accepted ones."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(server.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", accepted
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in accepted:
        connection.close()


@pytest.fixture
def gated(
    pair_store: Path, pair_card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Running, Gated]]:
    """A server whose backend waits when told to."""
    backend = Gated(pair_card.model_copy(update={"version": 2}))
    monkeypatch.setattr(app.engine.load, "load_backend", lambda *_: backend)
    with running(pair_store, models="pairs@2") as server:
        try:
            yield server, backend
        finally:
            backend.gate.set()
