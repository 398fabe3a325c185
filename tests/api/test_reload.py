"""The store changes under a running server."""

import asyncio
import gc
import re
import shutil
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import app.engine.load
from app.backends import load_backend
from app.store.card import ModelCard
from app.store.store import CARD, ModelStore, StoredModel
from tests.api.server import ARGON, Gated, Running, running


@pytest.fixture
def store(tmp_path: Path, pair_card: ModelCard) -> ModelStore:
    """A store of its own, with one version."""
    store = ModelStore(tmp_path / "store")
    publish(store, pair_card, 1)
    return store


@pytest.fixture
def service(store: ModelStore) -> Iterator[Running]:
    with running(store.root, log_level="error") as server:
        yield server


def publish(store: ModelStore, card: ModelCard, version: int) -> None:
    with store.publish(card.model_copy(update={"version": version})):
        pass


def spoil(store: ModelStore, version: int) -> None:
    (store.root / "pairs" / str(version) / CARD).write_text("{")


def start_reload(service: Running) -> "asyncio.Future[None]":
    """Reload on the server's loop; what `SIGHUP` does in a process."""
    models = service.server.service.models
    return asyncio.run_coroutine_threadsafe(models.reload(), service.server.loop)  # type: ignore[return-value]


def reload(service: Running) -> None:
    start_reload(service).result(60)  # type: ignore[call-arg]


def versions(service: Running) -> dict[int, str]:
    return {m["version"]: m["status"] for m in service.client.get("/models").json()["models"]}


def test_a_new_version_is_what_the_name_means(
    service: Running, store: ModelStore, pair_card: ModelCard
) -> None:
    publish(store, pair_card, 2)
    assert service.predict(ARGON).json()["model"]["version"] == 1
    reload(service)
    assert service.predict(ARGON).json()["model"]["version"] == 2
    assert service.predict({**ARGON, "model": "pairs@1"}).json()["model"]["version"] == 1
    assert service.client.get("/readyz").json()["models"] == ["pairs@2", "pairs@1"]
    assert service.metric('equipot_queue_depth{model="pairs@2"}') == 0


def test_a_version_that_is_gone_leaves_with_its_gauges(
    service: Running, store: ModelStore, pair_card: ModelCard
) -> None:
    service.predict(ARGON)
    publish(store, pair_card, 2)
    shutil.rmtree(store.root / "pairs" / "1")
    reload(service)
    assert versions(service) == {2: "ready"}
    assert service.predict({**ARGON, "model": "pairs@1"}).status_code == 404
    text = service.client.get("/metrics").text
    assert 'queue_depth{model="pairs@1"}' not in text
    assert not re.search(r'model_info\{[^}]*"pairs@1"', text)
    assert service.metric('equipot_batch_structures_sum{model="pairs@1"}') == 1


def test_nothing_of_a_version_that_left_stays_in_memory(
    service: Running, store: ModelStore, pair_card: ModelCard
) -> None:
    gc.disable()  # which a server has look for circles of objects rarely
    try:
        service.predict(ARGON)
        left = weakref.ref(service.server.service.models.potentials["pairs@1"])
        publish(store, pair_card, 2)
        shutil.rmtree(store.root / "pairs" / "1")
        reload(service)
        service.client.get("/livez")
        assert left() is None
    finally:
        gc.enable()


def test_one_that_cannot_be_loaded_changes_nothing_else(
    store: ModelStore, pair_card: ModelCard, service: Running
) -> None:
    publish(store, pair_card, 2)
    spoil(store, 2)
    reload(service)
    assert versions(service) == {1: "ready", 2: "refused"}
    assert service.predict(ARGON).json()["model"]["version"] == 1
    assert (
        "no model card" in service.predict({**ARGON, "model": "pairs@2"}).json()["error"]["message"]
    )
    shutil.rmtree(store.root / "pairs" / "2")
    publish(store, pair_card, 2)
    reload(service)
    assert versions(service) == {2: "ready", 1: "ready"}


def test_where_only_the_newest_is_wanted_the_old_one_stays_until_it_is_replaced(
    store: ModelStore, pair_card: ModelCard
) -> None:
    with running(store.root, models="pairs", log_level="error") as service:
        publish(store, pair_card, 2)
        spoil(store, 2)
        reload(service)
        assert versions(service) == {1: "ready", 2: "refused"}
        publish(store, pair_card, 3)
        reload(service)
        assert versions(service) == {3: "ready"}


def test_an_empty_store_changes_nothing(store: ModelStore, service: Running) -> None:
    shutil.rmtree(store.root)
    reload(service)
    assert versions(service) == {1: "ready"}


def test_what_was_admitted_is_answered_by_the_version_that_admitted_it(
    store: ModelStore, pair_card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated(pair_card)

    def load(model: StoredModel, *options: object) -> object:
        return gated if model.card.version == 1 else load_backend(model)

    monkeypatch.setattr(app.engine.load, "load_backend", load)
    with running(store.root) as service, ThreadPoolExecutor() as pool:
        gated.close()
        inside = pool.submit(service.predict, ARGON)
        assert gated.entered.wait(60)
        publish(store, pair_card, 2)
        shutil.rmtree(store.root / "pairs" / "1")
        reloading = start_reload(service)
        while 1 in versions(service):
            pass
        assert service.predict(ARGON).json()["model"]["version"] == 2
        assert not reloading.done()
        gated.gate.set()
        assert inside.result().json()["model"]["version"] == 1
        reloading.result(60)  # type: ignore[call-arg]


def test_a_signal_to_a_process(store: ModelStore, pair_card: ModelCard) -> None:
    command = [
        sys.executable,
        "-m",
        "app.cli.main",
        "serve",
        "--port",
        "0",
        "--model-store",
        str(store.root),
    ]
    process = subprocess.Popen(
        [*command, "--default-model", "pairs"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        told = ""
        while " ready after " not in told or "listening on" not in told:  # in either order
            told += process.stderr.readline()
        address = re.search(r"listening on (http://\S+)", told)
        assert address, told
        publish(store, pair_card, 2)
        process.send_signal(signal.SIGHUP)
        while " reloaded: " not in (line := process.stderr.readline()):
            assert line, "it goes on"
        answer = httpx.post(f"{address[1]}/predict", json=ARGON)
        assert answer.json()["model"]["version"] == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.stderr.close()
        process.wait()
