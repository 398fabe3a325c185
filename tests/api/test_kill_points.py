"""An exception anywhere on a request's way: its caller gets an error, others their answers."""

import importlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import ormsgpack
import pytest

from tests.api.server import ARGON, Running, running

MARK = 7.25
CULPRIT = {"numbers": [18, 18], "positions": [[0, 0, MARK], [0, 0, 11.25]]}
CULPRIT_XYZ = f"2\n\nAr 0 0 {MARK}\nAr 0 0 11.25\n"
RELAX = {"fmax": 1e-3, "steps": 50}


@pytest.fixture(scope="module")
def service(pair_store: Path) -> Iterator[Running]:
    with running(pair_store, log_level="error") as server:
        yield server


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have a function of a module raise for whatever holds the mark."""

    def install(path: str, *names: str) -> None:
        module = importlib.import_module(path)
        for name in names:
            monkeypatch.setattr(module, name, broken(getattr(module, name)))

    def broken(sound: Any) -> Any:
        def breaking(*args: Any, **options: Any) -> Any:
            if str(MARK) in repr(args):
                raise RuntimeError("no luck")
            return sound(*args, **options)

        return breaking

    return install


def at_once(service: Running, *bodies: Any) -> list[httpx.Response]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(service.predict, bodies))


def assert_sound(service: Running) -> None:
    assert service.predict(ARGON).status_code == 200
    assert service.metric('equipot_queue_depth{model="pairs@2"}') == 0


@pytest.mark.parametrize(
    ("module", "names", "code"),
    [
        ("app.engine.graph_builder", ("build_graphs", "build_graph"), "internal"),
        ("app.engine.bisect", ("collate",), "model_failed"),
        ("app.engine.bisect", ("split",), "model_failed"),
        ("app.engine.bisect", ("is_finite",), "model_failed"),
    ],
)
def test_before_and_after_the_model(
    service: Running, breaks: Any, module: str, names: tuple[str, ...], code: str
) -> None:
    breaks(module, *names)
    response = service.predict({"structures": [ARGON, CULPRIT, ARGON]})
    assert response.status_code == 200
    assert [r["status"] for r in response.json()["results"]] == ["ok", "error", "ok"]
    assert response.json()["results"][1]["error"]["code"] == code
    alone = service.predict(CULPRIT)
    assert alone.status_code == 500
    assert alone.json()["error"]["code"] == code
    assert_sound(service)


@pytest.mark.parametrize(
    ("module", "name"),
    [("app.protocol.items", "parse_structure"), ("app.protocol.encode", "result_fields")],
)
def test_in_reading_and_writing_json(service: Running, breaks: Any, module: str, name: str) -> None:
    breaks(module, name)
    culprit, other = at_once(service, CULPRIT, ARGON)
    assert culprit.status_code == 500
    assert culprit.json()["error"]["code"] == "internal"
    assert "RuntimeError" in culprit.json()["error"]["message"]
    assert other.status_code == 200
    assert_sound(service)


@pytest.mark.parametrize(
    ("name", "kind", "content"),
    [
        ("result_fields", "application/x-msgpack", ormsgpack.packb(CULPRIT)),
        ("record", "chemical/x-xyz", CULPRIT_XYZ.encode()),
    ],
    ids=["MessagePack", "XYZ"],
)
def test_in_writing_other_kinds(
    service: Running, breaks: Any, name: str, kind: str, content: bytes
) -> None:
    breaks("app.protocol.encode", name)
    response = service.client.post("/predict", content=content, headers={"content-type": kind})
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal"
    assert_sound(service)


def test_in_writing_a_stream(service: Running, breaks: Any) -> None:
    breaks("app.protocol.lines", "result_fields")
    lines = orjson.dumps(CULPRIT) + b"\n"
    kind = {"content-type": "application/x-ndjson"}
    response = service.client.post("/predict", content=lines, headers=kind)
    last = orjson.loads(response.text.splitlines()[-1])
    assert (last["status"], last["error"]["code"]) == ("broken", "internal")
    assert_sound(service)


def test_in_a_step_of_a_relaxation(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(predictions: Any) -> Any:
        raise RuntimeError("no luck")

    monkeypatch.setattr("app.relax.relaxation.take_step", broken)
    relaxed, single = at_once(service, {**ARGON, "relax": RELAX}, ARGON)
    assert relaxed.status_code == 500
    assert relaxed.json()["error"]["code"] == "model_failed"
    assert single.status_code == 200
    monkeypatch.undo()
    assert service.predict({**ARGON, "relax": RELAX}).json()["results"][0]["relaxed"]["converged"]


@pytest.mark.parametrize("name", ["evaluate_tasks", "advance"])
def test_in_the_worker_itself(service: Running, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("no luck")

    monkeypatch.setattr(f"app.engine.workers.{name}", broken)
    response = service.predict(ARGON)
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "model_failed"
    monkeypatch.undo()
    assert_sound(service)
