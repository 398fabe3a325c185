"""The service under test, as a process on a store that changes."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.store.card import ModelCard, PairParameters
from app.store.store import CARD, ModelStore
from tests.soak.bad import LIMITS
from tests.soak.plan import PATIENCE, RELOADED, Plan


@dataclass
class Service:
    """`equipot serve` on a copy of a store."""

    process: subprocess.Popen[str]
    store: ModelStore
    port: int
    client: httpx.Client

    def memory(self) -> float:
        """MB, resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found
        return int(found[1]) * 1024 / 1e6

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def served(self) -> list[str]:
        """`name@version` of the models that answer."""
        models = self.client.get("/models").json()["models"]
        return [f"{m['name']}@{m['version']}" for m in models if m["status"] == "ready"]

    def metric(self, name: str) -> float:
        """Sum over the lines of a metric."""
        text = self.client.get("/metrics").text
        return sum(
            float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)
        )


@contextlib.contextmanager
def serving(source: Path, plan: Plan) -> Iterator[Service]:
    """A service with small limits, on a copy of the models, for the length of a block."""
    with tempfile.TemporaryDirectory() as folder:
        for name in plan.models:
            shutil.copytree(source / name, Path(folder) / name)
        limits = {f"EQUIPOT_{name}": str(value) for name, value in LIMITS.items()}
        # The budget is to be the same in both phases, so that nothing is measured in idle moments.
        environment = os.environ | limits | {"EQUIPOT_CACHE": "", "EQUIPOT_MEASURE": "false"}
        command = [
            sys.executable,
            "-m",
            "app.cli.main",
            "serve",
            "--port",
            "0",
            "--model-store",
            folder,
        ]
        command += ["--default-model", plan.models[0], "--threads", str(plan.threads)]
        log = Path(folder) / "log"
        with log.open("w") as file:
            process = subprocess.Popen(command, stderr=file, text=True, env=environment)
        try:
            port = _port(process, log)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
                yield Service(process, ModelStore(Path(folder)), port, client)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _port(process: subprocess.Popen[str], log: Path) -> int:
    while process.poll() is None:
        time.sleep(0.02)
        text = log.read_text()
        if " ready after " in text:
            found = re.search(r"listening on http://[^:]+:(\d+)", text)
            assert found, text
            return int(found[1])
    raise SystemExit(log.read_text())


def publish_next(store: ModelStore) -> None:
    """Change the store: another potential as the next version, its predecessor gone, and one that
    cannot be read.
    """
    card = next_card(store)
    with store.publish(card):
        pass
    shutil.rmtree(store.root / card.name / str(card.version - 1))
    broken = store.root / card.name / str(card.version + 1)
    broken.mkdir()
    (broken / CARD).write_text("{")


def next_card(store: ModelStore) -> ModelCard:
    """The card of the version that is to come: wells deeper by a tenth, so that its answers are
    known by it.
    """
    card = store.load(RELOADED).card
    deeper = {
        symbol: PairParameters(epsilon=1.1 * pair.epsilon, sigma=pair.sigma)
        for symbol, pair in card.pair.items()
    }
    return card.model_copy(update={"version": card.version + 1, "pair": deeper})


def reload(service: Service) -> None:
    """Change the store, tell the service, and wait until the old version has left."""
    before = service.served()
    publish_next(service.store)
    service.process.send_signal(signal.SIGHUP)
    for _ in range(int(PATIENCE / 0.1)):
        if not {key for key in before if key.startswith(RELOADED)} & set(service.served()):
            return
        time.sleep(0.1)
    raise SystemExit(f"{RELOADED} was not reloaded: {service.served()}")
