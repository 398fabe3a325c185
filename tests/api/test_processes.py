"""Two processes behind one port, as `equipot serve` starts them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.api.processes.shares import settings_of_each
from app.errors import InvalidRequest
from app.settings import Settings
from tests.api.server import ARGON

LISTENING = re.compile(r"listening on http://127.0.0.1:(\d+)")


def eventually(condition: Callable[[], bool], seconds: float) -> None:
    """Return once something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class Service:
    """The parent's process, and clients that each keep one connection."""

    def __init__(self, store: Path, log: Path, *options: str) -> None:
        self.log = log
        words = ["--processes", "2", "--port", "0", "--threads", "1", "--model-store", str(store)]
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli.main", "serve", *words, *options],
                stderr=file,
                env={**os.environ, "EQUIPOT_MEASURE": "0", "EQUIPOT_DEFAULT_MODEL": "pairs"},
            )
        eventually(lambda: self.log.read_text().count("ready after") == 2, 300)
        self.clients = contextlib.ExitStack()

    def client(self) -> httpx.Client:
        port = LISTENING.search(self.log.read_text())
        assert port is not None
        return self.clients.enter_context(
            httpx.Client(base_url=f"http://127.0.0.1:{port[1]}", timeout=60)
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def service(pair_store: Path, tmp_path: Path) -> Iterator[Service]:
    running = Service(pair_store, tmp_path / "log")
    try:
        yield running
    finally:
        running.clients.close()
        if running.process.poll() is None:
            running.stop()


def process_of(client: httpx.Client) -> int:
    ready = client.get("/readyz")
    assert ready.status_code == 200, ready.text
    return int(ready.json()["process"])


def answered(client: httpx.Client) -> float:
    """Structures that were answered, by the page of metrics."""
    line = re.search(r'^equipot_results_total\{.*"ok".*\} (.*)$', client.get("/metrics").text, re.M)
    return 0.0 if line is None else float(line[1])


def is_there(process: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def test_connections_metrics_and_changes_are_of_all_and_a_killed_process_is_replaced(
    service: Service,
) -> None:
    clients = [service.client() for _ in range(6)]
    processes = [process_of(client) for client in clients]
    first, second = sorted(set(processes))
    assert [processes.count(each) for each in (first, second)] == [3, 3]

    for number, client in enumerate(clients):
        assert client.post("/predict", json={"structures": [ARGON]}).status_code == 200
        assert {answered(each) for each in clients} == {number + 1}

    of = dict(zip(processes, clients, strict=True))
    alias = {"shares": {"pairs@1": 100}}
    changed = of[first].put("/admin/aliases/mine", json=alias)
    assert changed.status_code == 200, changed.text
    for client in of.values():
        body = {"structures": [ARGON], "model": "mine"}
        assert client.post("/predict", json=body).status_code == 200
    changed = of[second].delete("/admin/aliases/mine")
    assert changed.status_code == 200, changed.text
    assert all(client.get("/admin/models").json()["aliases"] == {} for client in of.values())
    old = {"structures": [ARGON], "model": "pairs@1"}
    for change, asked, status in (("unload", second, 404), ("load", first, 200)):
        changed = of[asked].post(f"/admin/models/pairs@1/{change}")
        assert changed.status_code == 200, changed.text
        assert {client.post("/predict", json=old).status_code for client in clients} == {status}
    refused = of[second].post("/admin/models/pairs@9/load")
    assert refused.status_code == 404

    before = answered(of[second])
    os.kill(first, signal.SIGKILL)
    eventually(lambda: service.log.read_text().count("ready after") == 3, 300)
    assert answered(of[second]) == before
    new = [service.client() for _ in range(3)]
    assert len({process_of(client) for client in new} - {first, second}) == 1
    assert "is replaced" in service.log.read_text()

    children = {process_of(client) for client in (*new, of[second])}
    assert service.stop() == 0
    assert not any(map(is_there, children))


def test_processes_end_with_their_parent(service: Service) -> None:
    processes = {process_of(service.client()) for _ in range(4)}
    assert len(processes) == 2
    service.process.kill()
    service.process.wait()
    eventually(lambda: not any(map(is_there, processes)), 60)


def test_each_has_its_share_and_a_gpu_is_not_shared() -> None:
    whole = Settings(processes=4, threads=0, memory_mb=1000, max_connections=10, jobs_folder=None)
    each = settings_of_each(whole)
    assert (each.memory_mb, each.max_connections) == (250, 3)
    assert each.queue_structures == whole.max_structures
    assert each.threads >= 1
    with pytest.raises(InvalidRequest, match="processes: 4, with device 'cuda'"):
        settings_of_each(Settings(processes=4, device="cuda", jobs_folder=None))
