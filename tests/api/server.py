"""A real server on a free port, in a thread."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from app.api.server import Server
from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.backends.pair import PairBackend
from app.errors import OutOfMemory
from app.service.elsewhere import Elsewhere
from app.service.service import Service
from app.settings import Settings
from app.store.card import ModelCard

WATER = {
    "symbols": ["O", "H", "H"],
    "positions": [[0.0, 0.0, 0.1], [0.0, 0.9, -0.6], [0.0, -0.9, -0.6]],
}
ARGON = {"numbers": [18, 18], "positions": [[0.0, 0.0, 0.0], [0.0, 0.0, 3.9]]}
CRYSTAL = {
    "symbols": ["Ar"],
    "positions": [[0.0, 0.0, 0.0]],
    "cell": [[0, 2.7, 2.7], [2.7, 0, 2.7], [2.7, 2.7, 0]],
}


class Announcing(Server):
    """Says when it listens, through an event."""

    def __init__(self, settings: Settings, elsewhere: Elsewhere | None = None) -> None:
        super().__init__(settings, Service(settings, elsewhere))
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.listening.set()


@dataclass
class Running:
    """A server in a thread, and a client for it."""

    server: Announcing
    client: httpx.Client
    thread: threading.Thread
    extra: list[httpx.Client] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    def predict(self, body: Any, **options: Any) -> httpx.Response:
        return self.client.post("/predict", json=body, **options)

    def metric(self, line: str) -> float:
        """Value of one line of `/metrics`; 0 where it is not there yet."""
        for sample in self.client.get("/metrics").text.splitlines():
            if sample.startswith(line + " "):
                return float(sample.rpartition(" ")[2])
        return 0.0

    def wait_for(self, line: str, value: float) -> None:
        """Ask until a metric has a value."""
        for _ in range(5000):
            if self.metric(line) == value:
                return
        raise AssertionError(f"{line} did not become {value}: {self.metric(line)}")

    def terminate(self) -> None:
        self.server.handle_exit(signal.SIGTERM, None)


class Where:
    """What runs the models of servers: each for itself, but for `pytest --ray`."""

    engines: Callable[[Settings], AbstractContextManager[Elsewhere | None]] = staticmethod(
        lambda _: contextlib.nullcontext()
    )


@contextlib.contextmanager
def running(store: Path, wait: bool = True, **settings: Any) -> Iterator[Running]:
    """A server for the length of a block."""
    quiet = {"log_level": "warning", "measure": False, "cache": None, "jobs_folder": None}
    given = {"model_store": store, "default_model": "pairs", "port": 0, **quiet, **settings}
    with Where.engines(Settings(**given)) as elsewhere:
        server = Announcing(Settings(**given), elsewhere)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert server.listening.wait(60)
            port = server.servers[0].sockets[0].getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                if wait:
                    until_loaded(server)
                yield Running(server, client, thread)
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()


def until_loaded(server: Announcing) -> None:
    """Wait for the end of loading, whatever came of it."""
    assert server.service.models.loaded.wait(60)


def skip_on_ray(request: pytest.FixtureRequest) -> None:
    """Skip what has a backend of its own in this process."""
    if request.config.getoption("--ray"):
        pytest.skip("its backend is of this process")


class Gated(PairBackend):
    """The pair backend behind a gate; structures of the first atom's height in `culprits` raise."""

    def __init__(self, card: ModelCard) -> None:
        super().__init__(card)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.arrivals = threading.Semaphore(0)
        self.structures = 0
        self.culprits: set[float] = set()
        self.memory: int | None = None

    def __call__(self, graph: Graph) -> Prediction:
        self.entered.set()
        self.arrivals.release()
        assert self.gate.wait(60)
        self.structures += len(graph.n_atoms)
        firsts = graph.positions[np.cumsum([0, *graph.n_atoms[:-1]]), 2]
        if self.culprits.intersection(firsts.tolist()):
            raise RuntimeError("no luck")
        if self.memory is not None and len(graph.numbers) > self.memory:
            raise OutOfMemory("no memory left")
        return super().__call__(graph)

    def close(self) -> None:
        self.entered.clear()
        self.arrivals = threading.Semaphore(0)
        self.gate.clear()
