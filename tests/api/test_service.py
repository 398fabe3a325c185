"""Start, end, overload, abandonment, and what the service says of itself."""

import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import orjson
import pytest

from app.backends import load_backend
from app.engine import load
from app.engine.workers import IN_FLIGHT
from app.formats.registry import FORMATS
from app.store.store import ModelStore
from tests.api.server import ARGON, WATER, Gated, Running, running


class TestOverload:
    def test_429_and_retry_after(self, gated: tuple[Running, Gated]) -> None:
        service, backend = gated
        backend.close()
        with ThreadPoolExecutor() as pool:
            inside = [pool.submit(service.predict, {"structures": [ARGON] * 3})]
            assert backend.entered.wait(60)
            refused = service.predict(ARGON)
            backend.gate.set()
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["error"]["code"] == "overloaded"
            assert [f.result().status_code for f in inside] == [200]
        assert service.predict(ARGON).status_code == 200
        assert (
            service.metric('equipot_requests_total{method="POST",route="/predict",status="429"}')
            == 1
        )

    def test_client_that_left_costs_nothing(self, gated: tuple[Running, Gated]) -> None:
        service, backend = gated
        backend.close()
        with ThreadPoolExecutor() as pool:
            inside = []
            for _ in range(IN_FLIGHT):
                inside.append(pool.submit(service.predict, ARGON))
                assert backend.arrivals.acquire(timeout=60)
            with socket.create_connection(("127.0.0.1", service.port)) as leaving:
                body = orjson.dumps(WATER)
                head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
                leaving.sendall(head.encode() + body)
                service.wait_for('equipot_queue_depth{model="pairs@2"}', 1)
            service.wait_for(
                'equipot_requests_total{method="POST",route="/predict",status="499"}', 1
            )
            backend.gate.set()
            assert [answer.result().status_code for answer in inside] == [200] * IN_FLIGHT
        assert service.predict(ARGON).status_code == 200
        assert backend.structures == IN_FLIGHT + 1


class TestFailures:
    def test_one_that_raises_costs_only_itself(self, gated: tuple[Running, Gated]) -> None:
        service, backend = gated
        backend.culprits = {7.0}
        culprit = {"numbers": [18, 18], "positions": [[0, 0, 7.0], [0, 0, 11.0]]}
        response = service.predict({"structures": [ARGON, culprit, ARGON]})
        assert response.status_code == 200
        assert [r["status"] for r in response.json()["results"]] == ["ok", "error", "ok"]
        assert response.json()["results"][1]["error"]["code"] == "model_failed"
        assert service.predict(culprit).status_code == 500

    def test_memory_that_does_not_suffice_costs_nothing(self, gated: tuple[Running, Gated]) -> None:
        service, backend = gated
        backend.memory = 4
        answer = service.predict({"structures": [ARGON] * 3})
        assert [r["status"] for r in answer.json()["results"]] == ["ok"] * 3
        service.wait_for('equipot_out_of_memory_total{model="pairs@2"}', 1)
        assert (
            service.client.get("/models/pairs").json()["budget"]["source"]
            == "lowered, out of memory"
        )

    def test_structures_share_batches(self, gated: tuple[Running, Gated]) -> None:
        service, _ = gated
        service.predict({"structures": [ARGON] * 3})
        assert service.metric('equipot_batch_structures_sum{model="pairs@2"}') == 3
        assert service.metric('equipot_batch_structures_count{model="pairs@2"}') == 1


def test_shutdown_finishes_what_was_admitted(gated: tuple[Running, Gated]) -> None:
    service, backend = gated
    backend.close()
    with ThreadPoolExecutor() as pool:
        inside = pool.submit(service.predict, ARGON)
        assert backend.entered.wait(60)
        ready = service.client.get("/readyz")
        service.terminate()
        backend.gate.set()
        assert ready.status_code == 200
        assert inside.result().status_code == 200
    service.thread.join(60)
    assert not service.thread.is_alive()


def test_alive_before_ready(pair_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def slow(*args: object, **options: object) -> object:
        assert gate.wait(60)
        return load_backend(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(load, "load_backend", slow)
    with running(pair_store, wait=False) as service:
        try:
            assert service.client.get("/livez").status_code == 200
            for response in (service.client.get("/readyz"), service.predict(ARGON)):
                assert response.status_code == 503
                assert "being loaded" in response.json()["error"]["message"]
        finally:
            gate.set()
        assert service.server.service.models.loaded.wait(60)
        assert service.client.get("/readyz").json()["models"] == ["pairs@2", "pairs@1"]


def test_a_body_that_does_not_come(pair_store: Path) -> None:
    with (
        running(pair_store, models="pairs@1", body_timeout=0.05) as service,
        socket.create_connection(("127.0.0.1", service.port)) as slow,
    ):
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{}")
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


class TestStore:
    def test_corrupt_models_are_refused_and_the_others_served(
        self, pair_store: Path, tmp_path: Path
    ) -> None:
        card = ModelStore(pair_store).load("pairs").card
        store = ModelStore(tmp_path)
        for name in ("pairs", "changed", "missing", "unreadable", "odd"):
            with store.publish(card.model_copy(update={"name": name, "version": 1})) as publication:
                (publication.folder / "notes.txt").write_text("sound")
        (tmp_path / "changed" / "1" / "notes.txt").write_text("other")
        (tmp_path / "missing" / "1" / "notes.txt").unlink()
        (tmp_path / "unreadable" / "1" / "card.json").write_text("{")
        (tmp_path / "odd" / "1" / "card.json").unlink()
        with running(tmp_path, log_level="error") as service:
            assert service.client.get("/readyz").status_code == 200
            assert service.predict(ARGON).status_code == 200
            shown = {m["name"]: m for m in service.client.get("/models").json()["models"]}
            assert shown["pairs"]["status"] == "ready"
            assert shown["pairs"]["default"]
            for name, told in (
                ("changed", "sha256"),
                ("missing", "is missing"),
                ("unreadable", "no model card"),
            ):
                assert shown[name]["status"] == "refused"
                assert told in shown[name]["reason"]
                response = service.predict({**ARGON, "model": name})
                assert response.status_code == 503
                assert told in response.json()["error"]["message"]

    def test_no_model_at_all(self, tmp_path: Path) -> None:
        with running(tmp_path) as service:
            assert service.client.get("/livez").status_code == 200
            response = service.client.get("/readyz")
            assert response.status_code == 503
            assert "no model could be loaded" in response.json()["error"]["message"]

    def test_a_version_that_is_no_number_is_refused_and_asked_for_by_name(
        self, pair_store: Path
    ) -> None:
        with running(pair_store, models="other@newest,pairs@1", log_level="error") as service:
            response = service.predict({**ARGON, "model": "other"})
            assert response.status_code == 503
            assert "other" in response.json()["error"]["message"]

    def test_default_that_is_not_there(self, pair_store: Path) -> None:
        with running(pair_store, default_model="organic-xtb", models="pairs@1") as service:
            response = service.predict(ARGON)
            assert response.status_code == 404
            assert "organic-xtb" in response.json()["error"]["message"]
            assert service.predict({**ARGON, "model": "pairs"}).json()["model"]["version"] == 1


PAGES = ("/", "/docs", "/openapi.json", "/metrics")


class TestOtherRoutes:
    def test_models(self, service: Running) -> None:
        models = service.client.get("/models").json()["models"]
        assert [(m["name"], m["version"], m["default"]) for m in models] == [
            ("pairs", 2, True),
            ("pairs", 1, False),
        ]
        card = service.client.get("/models/pairs@1").json()
        assert card["budget"]["source"] == "default"
        assert card["budget"]["atoms"] == 4096
        assert card["card"]["version"] == 1
        assert card["digest"] == models[1]["digest"]
        assert service.client.get("/models/nobody").status_code == 404

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/docs",
            "/openapi.json",
            "/models",
            "/models/pairs",
            "/livez",
            "/readyz",
            "/metrics",
        ],
    )
    def test_head(self, service: Running, path: str) -> None:
        response = service.client.head(path)
        assert response.status_code == 200
        assert response.content == b""

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/predict"), ("HEAD", "/predict"), ("POST", "/models")]
    )
    def test_wrong_method(self, service: Running, method: str, path: str) -> None:
        response = service.client.request(method, path)
        assert response.status_code == 405
        assert response.headers["allow"]

    def test_unknown_path(self, service: Running) -> None:
        response = service.client.get("/nowhere")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"

    def test_metrics(self, service: Running) -> None:
        service.predict(WATER)
        text = service.client.get("/metrics").text
        for name in (
            "batch_structures",
            "batch_atoms",
            "batch_edges",
            "queue_seconds",
            "graph_seconds",
            "inference_seconds",
        ):
            assert service.metric(f'equipot_{name}_count{{model="pairs@2"}}') > 0
        assert re.search(r'equipot_model_info\{[^}]*model="pairs@2"[^}]*\} 1\.0', text)
        assert service.metric('equipot_queue_depth{model="pairs@2"}') == 0


class TestDocumentation:
    def test_page_refers_to_nothing_outside(self, service: Running) -> None:
        page = service.client.get("/docs")
        assert page.status_code == 200
        assert not re.findall(r'(?:src|href)="(?:https?:)?//[^"]*"', page.text)
        for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
            assert service.client.get(path).status_code == 200

    def test_document_describes_the_bodies(self, service: Running) -> None:
        document = service.client.get("/openapi.json").json()
        body = document["paths"]["/predict"]["post"]["requestBody"]["content"]
        files = {known.media_types[0] for known in FORMATS.values()}
        others = {"application/x-msgpack", "application/x-ndjson", "multipart/form-data"}
        assert set(body) == {"application/json", *others, *files}
        known = document["components"]["schemas"]
        for name in re.findall(r'"#/components/schemas/(\w+)"', orjson.dumps(document).decode()):
            assert name in known

    def test_examples_work(self, service: Running) -> None:
        document = service.client.get("/openapi.json").json()
        body = document["paths"]["/predict"]["post"]["requestBody"]["content"]
        for example in body["application/json"]["examples"].values():
            assert service.predict(example["value"]).status_code == 200
        xyz = body["chemical/x-xyz"]["example"]
        headers = {"content-type": "chemical/x-xyz"}
        assert service.client.post("/predict", content=xyz, headers=headers).status_code == 200


def test_process_from_start_to_signal(pair_store: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "app.cli.main",
        "serve",
        "--port",
        "0",
        "--model-store",
        str(pair_store),
    ]
    process = subprocess.Popen(
        [*command, "--default-model", "pairs"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        told = ""
        for line in process.stderr:
            told += line
            if " ready after " in told and "listening on" in told:  # in either order
                break
        address = re.search(r"listening on (http://\S+)", told)
        assert address, told
        assert httpx.get(f"{address[1]}/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.stderr.close()
        process.wait()
