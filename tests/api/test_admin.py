"""Models are loaded, unloaded and named under a running server."""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import app.engine.load
from app.backends import load_backend
from app.errors import InvalidRequest
from app.store.card import ModelCard
from app.store.store import CARD, ModelStore, StoredModel
from tests.access.issued import issue
from tests.api.server import ARGON, Gated, Running, running
from tests.paths import MODEL_STORE

LINE = json.dumps(ARGON).encode() + b"\n"
RELAX = {"atoms": [{"coord": [0, 0, 0, 0, 0, 3.9], "numbers": [18, 18], "pbc": [False] * 3}]}


class Admin:
    """What an operator does to a server."""

    def __init__(self, server: Running) -> None:
        self.server = server

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.server.client.request(method, f"/admin/{path}", json=body, **options)

    def done(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.ask(method, path, body)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str, str]:
        """Status, code and message; nothing has changed."""
        before = self.known()
        answer = self.ask(method, path, body)
        assert self.known() == before
        error = answer.json()["error"]
        return answer.status_code, error["code"], error["message"]

    def known(self) -> dict[str, Any]:
        document = self.done("GET", "models")
        return {key: value for key, value in document.items() if key != "memory"}

    def states(self) -> dict[str, str]:
        return {model["model"]: model["state"] for model in self.known()["models"]}

    def alias(self, name: str, by: str = "caller", **shares: float) -> dict[str, Any]:
        given = {f"pairs@{version[1:]}": share for version, share in shares.items()}
        return self.done("PUT", f"aliases/{name}", {"shares": given, "by": by})

    def version(self, model: str | None = None, **options: Any) -> int:
        """Of the model that answers."""
        body = ARGON if model is None else {**ARGON, "model": model}
        answer = self.server.predict(body, **options)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["model"]["version"])


@pytest.fixture
def store(tmp_path: Path, pair_card: ModelCard) -> ModelStore:
    """A store with three versions."""
    store = ModelStore(tmp_path / "store")
    for version in (1, 2, 3):
        with store.publish(pair_card.model_copy(update={"version": version})):
            pass
    return store


@pytest.fixture
def serve(store: ModelStore) -> Iterator[Callable[..., Admin]]:
    """Makes servers of the store."""
    with ExitStack() as stack:
        yield lambda **given: Admin(
            stack.enter_context(running(store.root, **{"log_level": "error", **given}))
        )


def test_a_canary_from_load_to_its_end(serve: Callable[..., Admin]) -> None:
    admin = serve(models="pairs@1")
    assert admin.states() == {"pairs@1": "loaded", "pairs@2": "unloaded", "pairs@3": "unloaded"}
    admin.alias("pairs", v1=100)
    admin.done("POST", "models/pairs@3/load")
    assert [admin.version(), admin.version("pairs"), admin.version("pairs@3")] == [1, 1, 3]

    admin.alias("pairs", "request", v1=75, v3=25)
    ids = [{"X-Request-ID": f"request-{number}"} for number in range(100)]
    had = [admin.version(headers=headers) for headers in ids]
    assert had == [admin.version(headers=headers) for headers in ids], "the same again"
    assert Counter(had) == {1: 73, 3: 27}
    for version in (1, 3):
        line = f'equipot_alias_requests_total{{alias="pairs",model="pairs@{version}"}}'
        assert admin.server.metric(line) == 2 * had.count(version) + 2 * (version == 1)
        outcome = f'equipot_results_total{{model="pairs@{version}",outcome="ok"}}'
        assert admin.server.metric(outcome) >= 2 * had.count(version)
    assert admin.server.metric('equipot_alias_share{alias="pairs",model="pairs@3"}') == 25

    told = admin.alias("pairs", v3=100)
    assert told["aliases"] == {"pairs": {"shares": {"pairs@3": 100}, "by": "caller"}}
    told = admin.done("POST", "models/pairs@1/unload")
    assert next((m["model"], m.get("default")) for m in told["models"]) == ("pairs@3", True)
    assert admin.version() == 3
    assert admin.server.predict({**ARGON, "model": "pairs@1"}).status_code == 404
    assert admin.server.metric('equipot_alias_share{alias="pairs",model="pairs@1"}') == 0
    admin.done("DELETE", "aliases/pairs")
    assert admin.version("pairs") == 3


def test_the_name_of_a_model_is_no_alias_of_another_one() -> None:
    with running(MODEL_STORE, default_model="organic-xtb", threads=1) as server:
        admin = Admin(server)
        shares = {"shares": {"lennard-jones@1": 100}}
        status, code, told = admin.refused("PUT", "aliases/organic-xtb", shares)
        assert (status, code) == (422, "invalid_request")
        assert "'lennard-jones@1' is another model" in told
        admin.done("PUT", "aliases/screen", shares)


def test_an_alias_is_a_model_wherever_one_is_named(
    serve: Callable[..., Admin], tmp_path: Path
) -> None:
    admin = serve(models="pairs@1,pairs@2", jobs_folder=tmp_path / "jobs")
    admin.alias("stable", v1=100)
    client = admin.server.client
    assert admin.version("stable") == 1
    query = {"params": {"model": "stable"}}
    lines = client.post(
        "/predict", content=LINE, headers={"Content-Type": "application/x-ndjson"}, **query
    )
    assert json.loads(lines.text.splitlines()[0])["model"]["version"] == 1
    followed = {**ARGON, "model": "stable", "relax": True}
    events = client.post("/predict", json=followed, headers={"Accept": "text/event-stream"})
    assert '"version":1' in events.text
    relaxed = client.post("/v1/infer", json=RELAX, **query)
    assert relaxed.headers["X-Equipot-Model"].startswith("pairs@1 ")
    tensors = [
        {"name": "numbers", "shape": [2], "datatype": "INT64", "data": [18, 18]},
        {"name": "positions", "shape": [2, 3], "datatype": "FP64", "data": [0, 0, 0, 0, 0, 4]},
    ]
    inferred = client.post("/v2/models/stable/infer", json={"inputs": tensors}).json()
    assert (inferred["model_name"], inferred["model_version"]) == ("pairs", "1")
    assert client.get("/v2/models/stable").json()["name"] == "pairs"
    assert client.get("/models/stable").json()["card"]["version"] == 1
    assert client.get("/models").json()["aliases"] == {"stable": {"pairs@1": 100}}

    job = client.post("/jobs", json={**ARGON, "model": "stable"}).json()
    assert job["model"]["version"] == 1
    admin.alias("stable", v2=100)
    assert (admin.version("stable"), admin.version("pairs@1")) == (2, 1)
    assert client.get(f"/jobs/{job['id']}").json()["model"]["version"] == 1


def test_what_is_under_way_on_an_unloaded_version_is_finished(
    serve: Callable[..., Admin], pair_card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated(pair_card)

    def load(model: StoredModel, *options: object) -> object:
        return gated if model.card.version == 1 else load_backend(model)

    monkeypatch.setattr(app.engine.load, "load_backend", load)
    admin = serve(models="pairs@1,pairs@2")
    more, first = threading.Event(), threading.Event()

    def lines() -> Iterator[bytes]:
        yield LINE
        first.set()
        assert more.wait(60)
        yield LINE

    def streamed() -> list[Any]:
        sent = {"content": lines(), "headers": {"Content-Type": "application/x-ndjson"}}
        with admin.server.client.stream(
            "POST", "/predict", params={"model": "pairs@1"}, **sent
        ) as answer:
            return [json.loads(line) for line in answer.iter_lines()]

    with ThreadPoolExecutor() as pool:
        gated.close()
        inside = pool.submit(admin.server.predict, {**ARGON, "model": "pairs@1"})
        stream = pool.submit(streamed)
        assert gated.entered.wait(60)
        assert first.wait(60)
        while not any(model.get("streams") for model in admin.known()["models"]):
            pass
        admin.done("POST", "models/pairs@1/unload")
        assert admin.states()["pairs@1"] == "unloading"
        assert admin.server.predict({**ARGON, "model": "pairs@1"}).status_code == 404
        status, code, message = admin.refused("POST", "models/pairs@1/load")
        assert (status, code) == (409, "model_in_use")
        assert "being unloaded" in message
        gated.gate.set()
        assert inside.result().json()["model"]["version"] == 1
        more.set()
        assert [line["status"] for line in stream.result()] == ["begin", "ok", "ok", "end"]
    while admin.states()["pairs@1"] == "unloading":
        pass
    admin.done("POST", "models/pairs@1/load")
    assert admin.version("pairs@1") == 1


def test_what_is_wrong_is_named_with_its_remedy_and_changes_nothing(
    serve: Callable[..., Admin], store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = serve(models="pairs@2")
    (store.root / "pairs" / "3" / CARD).write_text("{")
    cases: list[tuple[str, str, Any, int, str]] = [
        ("POST", "models/mace@1/load", None, 404, "no model 'mace' in the store; it has: pairs"),
        ("POST", "models/pairs@7/load", None, 404, "has no version '7'; it has: 1, 2, 3"),
        ("POST", "models/mace/unload", None, 404, "no model 'mace'; served: pairs@2"),
        ("POST", "models/pairs@2/unload", None, 409, "PUT /admin/default"),
        ("POST", "models/pairs/unload", None, 409, "answers requests that name no model"),
        ("PUT", "default", {"models": ["mace"]}, 404, "no model 'mace'"),
        ("PUT", "default", {"models": ["pairs@1"]}, 404, "POST /admin/models/pairs@1/load"),
        ("PUT", "default", {"models": ["pairs", "pairs"]}, 422, "'pairs' is given twice"),
        ("PUT", "default", {"model": "pairs"}, 422, "model: unknown field; known are models"),
        ("PUT", "aliases/x", {"shares": {"pairs@1": 100}}, 404, "/admin/models/pairs@1/load"),
        ("PUT", "aliases/x", {"shares": {"pairs@2": 95}}, 422, "add up to 95"),
        ("PUT", "aliases/x", {"shares": {"pairs@2": -5}}, 422, "shares.pairs@2"),
        ("PUT", "aliases/x", {"shares": {"pairs": 100}}, 422, "`name@version` is expected"),
        ("PUT", "aliases/x", {"shares": {}}, 422, "shares"),
        ("PUT", "aliases/X@1", {"shares": {"pairs@2": 100}}, 422, "lower-case letters"),
        ("DELETE", "aliases/x", None, 404, "no alias 'x'; there are: none"),
    ]
    for method, path, body, status, told in cases:
        got = admin.refused(method, path, body)
        assert (got[0], told in got[2]) == (status, True), (path, got)

    admin.alias("best", v2=100)
    assert "has 100 % of the alias 'best'" in admin.refused("POST", "models/pairs@2/unload")[2]
    assert "is an alias" in admin.refused("POST", "models/best/unload")[2]
    admin.done("PUT", "default", {"models": ["best"]})
    assert "no model has that name" in admin.refused("DELETE", "aliases/best")[2]

    answer = admin.ask("POST", "models/pairs@3/load")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "corrupt_model")
    failed = next(m for m in admin.known()["models"] if m["model"] == "pairs@3")
    assert failed["state"] == "failed"
    assert "no model card" in failed["reason"]
    assert "no model card" in admin.refused("PUT", "aliases/x", {"shares": {"pairs@3": 100}})[2]

    full = Gated(ModelStore(store.root).load("pairs@1").card)
    full.memory = 1
    monkeypatch.setattr(app.engine.load, "load_backend", lambda *_: full)
    answer = admin.ask("POST", "models/pairs@1/load")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "out_of_memory")
    assert "unload another one first" in error["message"]
    assert (admin.version(), admin.version("best")) == (2, 2)


def test_changes_are_kept_where_there_is_a_file_and_the_file_may_be_written_by_hand(
    serve: Callable[..., Admin], tmp_path: Path
) -> None:
    file = tmp_path / "deployment.json"
    first = serve(deployment_file=file)
    assert first.known()["kept_in"] == str(file)
    first.done("PUT", "default", {"models": ["pairs@2"]})
    first.alias("canary", v2=90, v3=10)
    first.done("POST", "models/pairs@1/unload")
    kept = json.loads(file.read_text())
    assert kept == {
        "default": ["pairs@2"],
        "aliases": {"canary": {"shares": {"pairs@2": 90, "pairs@3": 10}}},
        "unload": ["pairs@1"],
    }
    second = serve(deployment_file=file)
    assert second.known()["aliases"] == first.known()["aliases"]
    assert second.states() == first.states()
    assert second.version() == 2

    file.write_text(json.dumps(kept | {"default": ["pairs@3"], "unload": []}))
    assert "was changed by somebody else" in first.refused("DELETE", "aliases/canary")[2]
    first.done("POST", "reload")
    assert (first.version(), first.states()["pairs@1"]) == (3, "loaded")
    lacking = {"aliases": {"canary": {"shares": {"pairs@9": 100}}}}
    for text, status, told in (
        ("{", 422, "Invalid JSON"),
        (json.dumps(kept | lacking), 503, "'pairs@9' is not served: model 'pairs' has no version"),
    ):
        file.write_text(text)
        answer = first.ask("POST", "reload")
        assert (answer.status_code, told in answer.text) == (status, True), answer.text
        assert (first.version(), first.version("canary")) == (3, 2)
        assert first.refused("DELETE", "aliases/canary")[:2] == (409, "model_in_use")
        assert file.read_text() == text
    file.write_text("{")
    with pytest.raises(InvalidRequest, match="EQUIPOT_DEPLOYMENT_FILE"):
        serve(deployment_file=file)


def test_a_reload_keeps_what_was_unloaded_so_and_what_aliases_need(
    serve: Callable[..., Admin], store: ModelStore
) -> None:
    admin = serve()
    admin.alias("old", v1=100)
    admin.done("POST", "models/pairs@2/unload")
    shutil.rmtree(store.root / "pairs" / "1")
    admin.done("POST", "reload")
    assert admin.states() == {"pairs@1": "loaded", "pairs@2": "unloaded", "pairs@3": "loaded"}
    assert admin.version("old") == 1
    shutil.rmtree(store.root)
    assert admin.refused("POST", "reload")[1] == "unknown_model"
    assert admin.version() == 3


def test_it_needs_the_scope_admin(serve: Callable[..., Admin], tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    user, root = issue(keys, "user", "predict", "jobs"), issue(keys, "root", "admin")
    admin = serve(api_keys_file=keys)
    assert admin.ask("GET", "models").status_code == 401
    assert admin.ask("GET", "models", headers=user).status_code == 403
    assert admin.ask("POST", "models/pairs@1/unload", headers=user).status_code == 403
    assert admin.ask("POST", "models/pairs@1/unload", headers=root).status_code == 200
    proxied = {**root, "X-Forwarded-For": "192.0.2.1"}
    assert admin.ask("GET", "models", headers=proxied).status_code == 200


def test_without_keys_only_this_machine_may(serve: Callable[..., Admin]) -> None:
    admin = serve(models="pairs@1", cors_origins="*")
    for headers in (
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Host": "equipot.example.org"},
        {"Origin": "https://example.org"},
    ):
        assert admin.ask("GET", "models", headers=headers).status_code == 403, headers
        assert admin.ask("POST", "reload", headers=headers).status_code == 403, headers
    assert admin.ask("GET", "models").status_code == 200


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0", "allow_anonymous": True},
        {"root_path": "/equipot"},
        {"forwarded_allow_ips": "*"},
    ],
)
def test_without_keys_a_service_for_others_has_no_administration(
    serve: Callable[..., Admin], settings: dict[str, Any]
) -> None:
    answer = serve(models="pairs@1", **settings).ask("GET", "models")
    assert answer.status_code == 403
    assert "EQUIPOT_API_KEYS_FILE" in answer.json()["error"]["message"]
