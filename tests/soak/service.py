"""The service under test, as a process on a store that changes."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.bench.service import ServerProcess, served
from app.store.card import ModelCard, PairParameters
from app.store.store import CARD, ModelStore
from tests.soak.bad import LIMITS
from tests.soak.plan import PATIENCE, RELOADED, Plan


@dataclass
class Service:
    """`equipot serve` on a copy of a store."""

    server: ServerProcess
    store: ModelStore
    client: httpx.Client

    @property
    def port(self) -> int:
        return self.server.port

    def memory(self) -> float:
        """MB, resident."""
        resident = self.server.memory_mb()
        assert resident is not None
        return resident

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.server.pid}/fd").iterdir()))

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
        given = {"model_store": folder, "default_model": plan.models[0], "threads": plan.threads}
        # The budget is to be the same in both phases, so that nothing is measured in idle moments.
        settings = {**LIMITS, **given, "cache": "", "measure": False}
        with served(settings) as server:
            url = f"http://127.0.0.1:{server.port}"
            with httpx.Client(base_url=url, timeout=PATIENCE) as client:
                yield Service(server, ModelStore(Path(folder)), client)


def publish_next(store: ModelStore) -> None:
    """Publish another potential as the next version, remove the last, add one that is broken."""
    card = next_card(store)
    with store.publish(card):
        pass
    shutil.rmtree(store.root / card.name / str(card.version - 1))
    broken = store.root / card.name / str(card.version + 1)
    broken.mkdir()
    (broken / CARD).write_text("{")


def next_card(store: ModelStore) -> ModelCard:
    """The next version's card: wells deeper by a tenth, which its answers are known by."""
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
    service.server.reload()
    for _ in range(int(PATIENCE / 0.1)):
        if not {key for key in before if key.startswith(RELOADED)} & set(service.served()):
            return
        time.sleep(0.1)
    raise SystemExit(f"{RELOADED} was not reloaded: {service.served()}")
