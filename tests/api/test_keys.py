"""Keys over HTTP: who is let in, to what, how often, and whose jobs are whose."""

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

import app.engine.load
from app.api.server import Server
from app.errors import InvalidRequest
from app.settings import Settings
from app.store.card import ModelCard
from tests.access.issued import issue, revoke
from tests.api.server import ARGON, Gated, Running, running

Headers = dict[str, str]


@dataclass
class Scene:
    """A server that wants keys, its file of them, and some."""

    server: Running
    file: Path
    user: Headers
    other: Headers
    single: Headers
    monitor: Headers
    admin: Headers

    def ask(self, method: str, path: str, headers: Headers, **options: object) -> httpx.Response:
        return self.server.client.request(method, path, headers=headers, **options)  # type: ignore[arg-type]

    def predict(self, headers: Headers) -> httpx.Response:
        return self.server.predict(ARGON, headers=headers)


@pytest.fixture(scope="module")
def scene(pair_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("keys")
    file = folder / "keys.json"
    keys = [
        issue(file, "user", "predict", "jobs"),
        issue(file, "other", "predict", "jobs"),
        issue(file, "single", "predict"),
        issue(file, "monitor", "metrics"),
        issue(file, "root", "admin"),
    ]
    options = {"cors_origins": "https://example.org", "jobs_folder": folder / "jobs"}
    with running(pair_store, api_keys_file=file, **options) as server:
        yield Scene(server, file, *keys)


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer equipot_x"}, {"X-API-Key": "x"}])
def test_nobody_comes_in_without_a_key(scene: Scene, given: Headers) -> None:
    for method, path in (
        ("POST", "/predict"),
        ("POST", "/jobs"),
        ("GET", "/jobs"),
        ("GET", "/models"),
        ("GET", "/metrics"),
        ("GET", "/v1/metrics"),
        ("GET", "/v1/status"),
        ("POST", "/v1/infer"),
        ("GET", "/v2"),
        ("GET", "/v2/models/pairs"),
        ("POST", "/v2/models/pairs/infer"),
        ("GET", "/nothing"),
        ("DELETE", "/jobs/x"),
    ):
        answer = scene.ask(method, path, given)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "Authorization: Bearer KEY" in answer.text
        if not path.startswith("/v2"):
            assert answer.json()["error"]["code"] == "unauthorized"


def test_two_keys_are_none(scene: Scene) -> None:
    both = [*scene.user.items(), *scene.other.items()]
    assert scene.server.client.get("/models", headers=both).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/livez", "/readyz", "/docs", "/openapi.json", "/page/main.js"),
        *("/v1/health/live", "/v1/health/ready", "/v2/health/live", "/v2/health/ready"),
    ],
)
def test_what_says_nothing_of_anybody_is_open(scene: Scene, path: str) -> None:
    assert scene.ask("GET", path, {}).status_code == 200


def test_each_key_may_do_what_it_was_given(scene: Scene) -> None:
    paths = {"predict": "/predict", "jobs": "/jobs", "metrics": "/v1/metrics", "models": "/models"}
    expected = {
        "user": {"predict", "jobs", "models"},
        "single": {"predict", "models"},
        "monitor": {"metrics", "models"},
        "admin": set(paths),
    }
    for name, allowed in expected.items():
        for what, path in paths.items():
            key: Headers = getattr(scene, name)
            body = {"json": ARGON} if what == "predict" else {}
            answer = scene.ask("POST" if body else "GET", path, key, **body)
            assert answer.status_code == (200 if what in allowed else 403), (name, what)
            if what not in allowed:
                error = answer.json()["error"]
                assert error["code"] == "forbidden"
                assert f"the scope '{what}'" in error["message"]


def test_requests_are_counted_by_key(scene: Scene) -> None:
    def counted(status: int) -> float:
        line = f'equipot_key_requests_total{{key="single",status="{status}"}} '
        text = scene.ask("GET", "/metrics", scene.admin).text
        return sum(float(each[len(line) :]) for each in text.splitlines() if each.startswith(line))

    before = counted(200), counted(403)
    scene.predict(scene.single)
    scene.ask("GET", "/jobs", scene.single)
    assert (counted(200), counted(403)) == (before[0] + 1, before[1] + 1)


def test_pages_of_other_origins_may_send_a_key_and_read_why_not(scene: Scene) -> None:
    origin = {"Origin": "https://example.org"}
    asked = {"Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization"
    answer = scene.ask("OPTIONS", "/predict", {**origin, **asked})
    assert answer.status_code == 200
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
    refused = scene.ask("POST", "/predict", origin, json=ARGON)
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "https://example.org"


def test_a_key_is_made_and_revoked_while_the_service_runs(scene: Scene) -> None:
    def until(headers: Headers, status: int) -> None:
        for _ in range(5000):
            if scene.predict(headers).status_code == status:
                return
        raise AssertionError(f"it did not become {status}")

    new = issue(scene.file, "new", "predict")
    until(new, 200)
    revoke(scene.file, "new")
    until(new, 401)
    assert scene.predict(scene.user).status_code == 200


def test_too_many_a_minute_are_429_with_the_time_to_come_back(
    pair_store: Path, tmp_path: Path
) -> None:
    slow = issue(tmp_path / "keys", "slow", "predict", rate=3)
    quick = issue(tmp_path / "keys", "quick", "predict")
    with running(pair_store, api_keys_file=tmp_path / "keys") as server:
        statuses = [server.predict(ARGON, headers=slow).status_code for _ in range(3)]
        assert statuses == [200, 200, 200]
        refused = server.predict(ARGON, headers=slow)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        error = refused.json()["error"]
        assert error["code"] == "rate_limited"
        assert "key 'slow' may send 3 requests a minute" in error["message"]
        assert server.client.get("/readyz", headers=slow).status_code == 200
        assert server.predict(ARGON, headers=quick).status_code == 200


def test_at_a_time_and_in_the_queue_each_key_has_its_own(
    pair_store: Path, pair_card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Gated(pair_card.model_copy(update={"version": 2}))
    monkeypatch.setattr(app.engine.load, "load_backend", lambda *_: backend)
    file = tmp_path / "keys"
    one = issue(file, "one", "predict", concurrency=1)
    part = issue(file, "part", "predict", share=0.5)
    limits = {"models": "pairs@2", "max_structures": 4, "queue_structures": 8}
    with running(pair_store, api_keys_file=file, **limits) as server:
        backend.close()
        waiting = [
            threading.Thread(target=server.predict, args=(body,), kwargs={"headers": headers})
            for body, headers in ((ARGON, one), ({"structures": [ARGON] * 3}, part))
        ]
        for thread in waiting:
            thread.start()
        try:
            one_more = _until_refused(server, ARGON, one)
            assert "1 requests under way, at most 1 may be" in one_more["message"]
            bulk = _until_refused(server, {"structures": [ARGON] * 4}, part)
            # those of whichever of the two came first
            assert re.match(r"[34] structures with [68] atoms of key 'part'", bulk["message"])
            assert "at most 4 and 200000 may (share)" in bulk["message"]
            assert (one_more["code"], bulk["code"]) == ("rate_limited", "rate_limited")
        finally:
            backend.gate.set()
            for thread in waiting:
                thread.join(60)
        assert server.predict(ARGON, headers=one).status_code == 200


def _until_refused(server: Running, body: object, headers: Headers) -> Headers:
    """The error of a request, once what was sent before it has come in."""
    for _ in range(100):
        try:
            answer = server.predict(body, headers=headers, timeout=0.5)
        except httpx.ReadTimeout:
            continue
        error: Headers = answer.json()["error"]
        return error
    raise AssertionError("it was not refused")


class TestJobs:
    def submitted(self, scene: Scene, headers: Headers, **more: str) -> str:
        answer = scene.ask("POST", "/jobs", {**headers, **more}, json=ARGON)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def listed(self, scene: Scene, headers: Headers) -> set[str]:
        return {job["id"] for job in scene.ask("GET", "/jobs", headers).json()["jobs"]}

    def test_a_job_is_its_makers_and_an_admins(self, scene: Scene) -> None:
        mine, theirs = self.submitted(scene, scene.user), self.submitted(scene, scene.other)
        assert (
            mine in self.listed(scene, scene.user),
            theirs in self.listed(scene, scene.user),
        ) == (
            True,
            False,
        )
        assert {mine, theirs} <= self.listed(scene, scene.admin)
        for path in ("", "/results", "/events", "/results?stream=true"):
            assert scene.ask("GET", f"/jobs/{theirs}{path}", scene.other).status_code == 200
            assert scene.ask("GET", f"/jobs/{theirs}{path}", scene.admin).status_code == 200
            hidden = scene.ask("GET", f"/jobs/{theirs}{path}", scene.user)
            missing = scene.ask("GET", f"/jobs/{'0' * 32}{path}", scene.user)
            assert hidden.status_code == 404
            told, expected = hidden.json()["error"], missing.json()["error"]
            assert told["code"] == expected["code"] == "unknown_job"
            assert told["message"] == expected["message"].replace("0" * 32, theirs)

    def test_nobody_else_cancels_it(self, scene: Scene) -> None:
        job = self.submitted(scene, scene.user)
        assert scene.ask("DELETE", f"/jobs/{job}", scene.other).status_code == 404
        assert scene.ask("DELETE", f"/jobs/{job}", scene.user).status_code == 200
        assert scene.ask("DELETE", f"/jobs/{job}", scene.admin).status_code == 200

    def test_idempotency_keys_are_each_ones_own(self, scene: Scene) -> None:
        again = {"Idempotency-Key": "first"}
        mine = self.submitted(scene, scene.user, **again)
        assert self.submitted(scene, scene.user, **again) == mine
        assert self.submitted(scene, scene.other, **again) != mine

    def test_it_is_done_like_any_other(self, scene: Scene) -> None:
        job = self.submitted(scene, scene.user)
        events = scene.ask("GET", f"/jobs/{job}/events", scene.user).text
        assert '"state":"done"' in events.rpartition("event: end")[2]


def test_the_service_says_what_to_do_before_it_listens_to_everybody(
    pair_store: Path, tmp_path: Path
) -> None:
    given = {"model_store": pair_store, "host": "0.0.0.0", "jobs_folder": None, "cache": None}
    with pytest.raises(InvalidRequest, match="EQUIPOT_API_KEYS_FILE"):
        Server(Settings(**given))
    Server(Settings(**given, allow_anonymous=True))
    issue(tmp_path / "keys", "one", "predict")
    Server(Settings(**given, api_keys_file=tmp_path / "keys"))
    os.unlink(tmp_path / "keys")
    with pytest.raises(InvalidRequest, match="cannot be read"):
        Server(Settings(**given, api_keys_file=tmp_path / "keys"))


def test_keys_are_wanted_whatever_is_said_of_anonymous_requests(
    pair_store: Path, tmp_path: Path
) -> None:
    issue(tmp_path / "keys", "one", "predict")
    with running(pair_store, api_keys_file=tmp_path / "keys", allow_anonymous=True) as server:
        assert server.predict(ARGON).status_code == 401
