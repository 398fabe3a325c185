"""Jobs over HTTP: taken in, followed, cancelled, and their results in every form."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import ormsgpack
import pytest
from sqlalchemy import update

import app.engine.load
import app.jobs.runner
from app.jobs import tables
from app.jobs.database import Database
from app.jobs.webhooks import signature
from app.store.card import ModelCard
from tests.api.server import ARGON, Gated, Running, running, skip_on_ray
from tests.jobs.argon import clusters
from tests.jobs.test_webhooks import receiver

BAD = {"id": "bad", "symbols": ["Si"], "positions": [[0, 0, 0]]}
XYZ = "chemical/x-xyz"


@pytest.fixture(scope="module")
def service(pair_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that takes jobs of more than a request may have."""
    limits = {"max_structures": 100, "max_body_bytes": 50_000, "max_job_bytes": 400_000}
    folder = tmp_path_factory.mktemp("jobs")
    with running(pair_store, jobs_folder=folder, max_job_structures=1000, **limits) as server:
        yield server


def submit(service: Running, body: Any, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = service.client.post("/jobs", json=body, headers=named)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/jobs/{job['id']}"
    return job


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    """All results of a stream of JSON."""
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [result for line in answer.text.splitlines() for result in orjson.loads(line)["results"]]


def ended(service: Running, job: str) -> dict[str, Any]:
    """The job, once it has ended."""
    events = service.client.get(f"/jobs/{job}/events").text.strip().split("\n\n")
    assert events[-1].startswith("event: end\ndata: ")
    last: dict[str, Any] = json.loads(events[-1].partition("data: ")[2])
    return last


def test_it_answers_what_predict_answers(service: Running) -> None:
    structures = [*clusters(350, 2), BAD]
    asked = {"properties": ["energy", "forces", "stress"], "model": "pairs@1"}
    job = submit(service, {"structures": structures, **asked})
    assert (job["structures"], job["left"], job["state"]) == (351, 351, "queued")
    assert job["model"]["version"] == 1
    got = lines(service.client.get(f"/jobs/{job['id']}/results?stream=true"))
    direct = []
    for start in range(0, 351, 100):
        answer = service.predict({"structures": structures[start : start + 100], **asked})
        direct += answer.json()["results"]
    assert [result["id"] for result in got] == [result["id"] for result in direct]
    assert got[-1] == direct[-1]
    for one, other in zip(got[:-1], direct[:-1], strict=True):
        assert one["energy"] == pytest.approx(other["energy"], abs=1e-12)
        assert one["stress"] is None
    shown = ended(service, job["id"])
    assert (shown["done"], shown["failed"], shown["left"]) == (350, 1, 0)
    assert (shown["state"], shown["eta_seconds"]) == ("done", None)
    assert shown["rate"] > 0
    assert shown["expires"] > shown["ended"] > shown["created"]


@pytest.mark.parametrize("kind", ["application/json", "application/x-msgpack", XYZ])
def test_every_body_in_every_form(service: Running, kind: str) -> None:
    document = {"structures": clusters(3, 2), "relax": {"fmax": 0.01}}
    content: Any = {
        "application/json": orjson.dumps(document),
        "application/x-msgpack": ormsgpack.packb(document),
        XYZ: b"".join(
            b"2\nid=%d\nAr 0 0 0\nAr 0 0 %f\n" % (number, 3.5 + 0.1 * number) for number in range(3)
        ),
    }[kind]
    query = "?fmax=0.01" if kind == XYZ else ""
    headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
    answer = service.client.post(f"/jobs{query}", content=gzip.compress(content), headers=headers)
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    assert ended(service, job)["done"] == 3
    where = f"/jobs/{job}/results"
    assert service.client.get(where).headers["content-type"].partition(";")[0] == kind
    page = service.client.get(where, headers={"Accept": "application/json"}).json()
    assert all(result["relaxed"]["converged"] for result in page["results"])
    packed = service.client.get(where, headers={"Accept": "application/x-msgpack"}).content
    assert len(ormsgpack.unpackb(packed)["results"]) == 3
    frames = service.client.get(f"{where}?stream=true", headers={"Accept": XYZ}).text
    assert frames.count("relaxed=T") == 3


def test_results_come_in_every_format_that_holds_several(service: Running) -> None:
    job = submit(service, {"structures": clusters(300)})
    ended(service, job["id"])
    url = f"/jobs/{job['id']}/results"
    page = service.client.get(url, params={"format": "csv", "limit": 2}).text.splitlines()
    whole = service.client.get(url, params={"format": "csv", "stream": "true"}).text.splitlines()
    assert len(whole) == 301
    assert page == whole[:3]
    text = service.client.get(url, params={"format": "lines", "stream": "true"}).text
    told = [orjson.loads(line) for line in text.splitlines()]
    assert [line["status"] for line in told[:2]] == ["begin", "ok"]
    assert told[-1] == {"status": "end", "structures": 300, "errors": 0}
    assert service.client.get(url, params={"format": "poscar"}).status_code == 422


def test_a_format_that_holds_none_of_the_structures_is_refused_at_once(
    gated: tuple[Running, Gated],
) -> None:
    service, backend = gated
    backend.close()
    crystal = {"cell": [[5, 0, 0], [0, 5, 0], [0, 0, 5]], **ARGON}
    job = submit(service, {"structures": [crystal] * 3})["id"]
    for _ in range(2):
        for asked in ({"format": "sdf"}, {"format": "sdf", "stream": "true"}):
            answer = service.client.get(f"/jobs/{job}/results", params=asked)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
            assert "ask for" in answer.json()["error"]["message"]
        backend.gate.set()
        ended(service, job)


def test_jobs_are_counted(pair_store: Path, tmp_path: Path) -> None:
    with running(pair_store, jobs_folder=tmp_path) as server:
        ended(server, submit(server, {"structures": [ARGON, BAD, BAD]})["id"])
        server.wait_for('equipot_jobs{state="done"}', 1.0)
        outcome = 'equipot_job_results_total{outcome="%s"}'
        assert server.metric(outcome % "ok") == 1.0
        assert server.metric(outcome % "unsupported_element") == 2.0
        assert server.metric('equipot_job_structures{state="left"}') == 0.0
        assert server.metric("equipot_job_oldest_seconds") == 0.0
        assert server.metric("equipot_job_lease_takeovers_total") == 0.0
        assert server.metric('equipot_job_webhooks_total{outcome="failed"}') == 0.0


def test_an_item_may_be_several_structures(service: Running) -> None:
    pair = "2\n\nAr 0 0 0\nAr 0 0 4\n"
    items = [ARGON, {"format": "xyz", "content": pair * 3}, {"smiles": "no molecule"}]
    job = ended(service, submit(service, {"structures": items})["id"])
    assert (job["done"], job["failed"], job["structures"]) == (4, 1, 5)
    found = service.client.get(f"/jobs/{job['id']}/results").json()["results"]
    assert [result.get("item") for result in found] == [None, 1, 1, 1, 2]
    assert found[4]["error"]["code"] == "invalid_format"


def test_pages_follow_each_other(service: Running) -> None:
    job = submit(service, {"structures": clusters(300, 1)})["id"]
    ended(service, job)
    url, found, pages = f"/jobs/{job}/results?limit=70", [], 0
    while url:
        answer = service.client.get(url)
        found += [result["id"] for result in answer.json()["results"]]
        pages += 1
        url = answer.links["next"]["url"] if "next" in answer.links else ""
    assert found == [f"cluster {number}" for number in range(300)]
    assert pages == 5
    assert len(service.client.get(f"/jobs/{job}/results?limit=1000").json()["results"]) == 100
    assert service.client.get(f"/jobs/{job}/results?offset=300").json()["results"] == []
    assert len(lines(service.client.get(f"/jobs/{job}/results?stream=true&offset=290"))) == 10


def test_a_key_makes_a_submission_safe_to_repeat(service: Running) -> None:
    first = submit(service, {"structures": clusters(2)}, Idempotency_Key="one")
    assert submit(service, {"structures": clusters(2)}, Idempotency_Key="one")["id"] == first["id"]
    other = service.client.post(
        "/jobs", json={"structures": clusters(3)}, headers={"Idempotency-Key": "one"}
    )
    assert (other.status_code, other.json()["error"]["code"]) == (409, "job_conflict")
    long = service.client.post("/jobs", json=ARGON, headers={"Idempotency-Key": "x" * 256})
    assert long.status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"structures": []}, 422, "invalid_request"),
        ({"structures": [ARGON], "unknown": 1}, 422, "invalid_request"),
        ({"structures": [ARGON], "model": "none"}, 404, "unknown_model"),
        ({"structures": [ARGON], "relax": {"steps": 10**6}}, 422, "invalid_request"),
        ({"structures": clusters(1001, 1)}, 413, "too_large"),
        ({"structures": [{**ARGON, "id": "x" * 60_000}]}, 413, "too_large"),
        ({"structures": [{**ARGON, "id": "x" * 500_000}]}, 413, "too_large"),
        ([], 422, "invalid_request"),
        ({}, 422, "invalid_request"),
        ({"model": "pairs"}, 422, "invalid_request"),
        ({"symbols": ["Ar"]}, 422, "invalid_request"),
    ],
)
def test_what_is_no_job_is_refused_at_once(
    service: Running, body: Any, status: int, code: str
) -> None:
    before = len(service.client.get("/jobs?limit=1000").json()["jobs"])
    answer = service.client.post("/jobs", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert len(service.client.get("/jobs?limit=1000").json()["jobs"]) == before


def test_bodies_that_are_not_what_they_say(service: Running) -> None:
    for content, headers in (
        (b"", {}),
        (b"{", {}),
        (b"no gzip", {"Content-Encoding": "gzip"}),
        (gzip.compress(orjson.dumps(ARGON))[:-4], {"Content-Encoding": "gzip"}),
        (b"\xff\xfe", {"Content-Type": XYZ}),
    ):
        answer = service.client.post("/jobs", content=content, headers=headers)
        assert answer.status_code == 422, answer.text
    bomb = gzip.compress(b" " * 30_000_000)
    answer = service.client.post("/jobs", content=bomb, headers={"Content-Encoding": "gzip"})
    assert "max_job_bytes" in answer.json()["error"]["message"]
    for headers in ({"Content-Type": "image/png"}, {"Content-Encoding": "br"}):
        assert service.client.post("/jobs", content=b"x", headers=headers).status_code == 415


def test_the_service_may_not_be_sent_into_private_networks(service: Running) -> None:
    for url in ("http://127.0.0.1:1/", "http://169.254.169.254/latest", "file:///etc/passwd"):
        answer = service.client.post("/jobs", params={"webhook": url}, json=ARGON)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/jobs/none", 404),
        ("DELETE", "/jobs/none", 404),
        ("GET", "/jobs/none/results", 404),
        ("GET", "/jobs/none/events", 404),
        ("GET", "/jobs?limit=0", 422),
        ("GET", "/jobs?limt=1", 422),
        ("GET", "/jobs?limit=1&limit=2", 422),
        ("GET", "/jobs?state=lost", 422),
    ],
)
def test_errors_have_the_form_of_all_others(
    service: Running, method: str, path: str, status: int
) -> None:
    answer = service.client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message"}


def test_pages_of_others_may_not_cancel(service: Running) -> None:
    job = submit(service, ARGON)["id"]
    headers = {"Origin": "https://elsewhere.org"}
    assert service.client.delete(f"/jobs/{job}", headers=headers).status_code == 403


def test_without_a_folder_there_are_none(pair_store: Path) -> None:
    with running(pair_store) as server:
        answer = server.client.post("/jobs", json=ARGON)
        assert answer.status_code == 503
        assert "EQUIPOT_JOBS_FOLDER" in answer.json()["error"]["message"]


@pytest.fixture
def gated(
    pair_store: Path,
    pair_card: ModelCard,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[tuple[Running, Gated]]:
    """A server that takes jobs, whose backend waits when told to."""
    skip_on_ray(request)
    backend = Gated(pair_card.model_copy(update={"version": 2}))
    monkeypatch.setattr(app.engine.load, "load_backend", lambda *_: backend)
    with running(pair_store, models="pairs@2", jobs_folder=tmp_path, max_jobs=2) as server:
        backend.structures = 0
        try:
            yield server, backend
        finally:
            backend.gate.set()


def test_a_single_request_beside_a_job_goes_with_the_next_batches(
    gated: tuple[Running, Gated],
) -> None:
    service, backend = gated
    backend.close()
    job = submit(service, {"structures": clusters(1000, 2)})["id"]
    assert backend.entered.wait(60)
    while not service.metric('equipot_queue_depth{model="pairs@2"}'):
        assert service.client.get(f"/jobs/{job}").json()["left"]
    backend.gate.set()
    assert service.predict(ARGON).status_code == 200
    assert backend.structures <= 64 * 6, "six batches of the job at most went before it"
    assert ended(service, job)["done"] == 1000


def test_what_is_cancelled_ends_and_keeps_its_results(gated: tuple[Running, Gated]) -> None:
    service, backend = gated
    backend.close()
    job = submit(service, {"structures": clusters(500, 2)})["id"]
    assert backend.entered.wait(60)
    cancelled = service.client.delete(f"/jobs/{job}")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert cancelled.json()["left"] > 0
    assert (cancelled.json()["done"], cancelled.json()["result_bytes"]) == (0, 0)
    backend.gate.set()
    assert service.client.delete(f"/jobs/{job}").json()["state"] == "cancelled"
    assert ended(service, job)["state"] == "cancelled"
    page = service.client.get(f"/jobs/{job}/results")
    assert page.json()["results"] == []
    assert "next" not in page.links
    assert service.predict(ARGON).status_code == 200
    assert service.metric('equipot_queue_depth{model="pairs@2"}') == 0.0


def early_results(service: Running, job: str, count: int) -> None:
    """Wait until so many results of a chunk that is under way are there."""
    while len(service.client.get(f"/jobs/{job}/results").json()["results"]) < count:
        assert service.client.get(f"/jobs/{job}").json()["state"] in ("queued", "running")


def test_results_come_before_their_chunk_is_complete_and_stay_when_it_is_cancelled(
    gated: tuple[Running, Gated],
) -> None:
    service, backend = gated
    backend.close()
    job = submit(service, {"structures": [BAD, BAD, *clusters(300, 2)]})["id"]
    early_results(service, job, 2)
    cancelled = service.client.delete(f"/jobs/{job}").json()
    backend.gate.set()
    assert (cancelled["done"], cancelled["failed"], cancelled["left"]) == (0, 2, 300)
    page = service.client.get(f"/jobs/{job}/results?limit=3")
    codes = [result["error"]["code"] for result in page.json()["results"]]
    assert codes == ["unsupported_element", "unsupported_element", "cancelled"]
    assert page.json()["results"][2]["id"] == "cluster 0"
    assert page.headers["X-Equipot-Job-State"] == "cancelled"
    whole = service.client.get(f"/jobs/{job}/results", params={"stream": "true", "format": "csv"})
    assert len(whole.text.splitlines()) == 257


@pytest.mark.parametrize("kind", ["csv", "sdf", "xyz", "json", "msgpack", "lines"])
def test_a_stream_that_is_cut_off_does_not_look_whole(
    gated: tuple[Running, Gated], kind: str
) -> None:
    service, backend = gated
    backend.close()
    job = submit(service, {"structures": [BAD, *clusters(300, 2)]})["id"]
    early_results(service, job, 1)
    got = b""

    def read() -> bytes:
        nonlocal got
        asked = {"stream": "true", "format": kind}
        with service.client.stream("GET", f"/jobs/{job}/results", params=asked) as answer:
            assert answer.headers["X-Equipot-Job-State"] == "running"
            for part in answer.iter_bytes():
                got += part
                if b"bad" in got:
                    service.client.delete(f"/jobs/{job}")
        return got

    if kind == "lines":
        assert orjson.loads(read().splitlines()[-1])["error"]["code"] == "cancelled"
    else:
        with pytest.raises(httpx.RemoteProtocolError):
            read()
    assert b"bad" in got


def test_jobs_that_have_not_ended_are_bounded(gated: tuple[Running, Gated]) -> None:
    service, backend = gated
    backend.close()
    for _ in range(2):
        submit(service, {"structures": clusters(2)})
    answer = service.client.post("/jobs", json=ARGON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "overloaded")
    assert "max_jobs" in answer.json()["error"]["message"]
    assert int(answer.headers["Retry-After"]) > 0
    running_now = service.client.get("/jobs?state=running").json()["jobs"]
    assert {job["state"] for job in running_now} <= {"running"}
    backend.gate.set()


def test_results_and_events_end_with_the_service(gated: tuple[Running, Gated]) -> None:
    service, backend = gated
    backend.close()
    job = submit(service, {"structures": clusters(500, 2)})["id"]
    assert backend.entered.wait(60)
    with service.client.stream("GET", f"/jobs/{job}/events") as events:
        first = next(events.iter_lines())
        assert first == "event: progress"
        backend.gate.set()
        service.terminate()
        service.thread.join(60)
    assert not service.thread.is_alive()


def test_a_body_that_is_cut_off_leaves_nothing(pair_store: Path, tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"structures":['
        raise InterruptedError

    with running(pair_store, jobs_folder=tmp_path) as server:
        with pytest.raises(InterruptedError):
            server.client.post("/jobs", content=parts())
        with httpx.Client(base_url=server.client.base_url) as other:
            assert other.post("/jobs", content=iter([b'{"structures":', b"[]}"])).status_code == 422
            server.wait_for('equipot_requests_total{method="POST",route="/jobs",status="499"}', 1.0)
        assert server.client.get("/jobs").json() == {"jobs": []}
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_webhook_is_told_of_the_end(pair_store: Path, tmp_path: Path) -> None:
    allowed = {"webhook_private": True, "jobs_folder": tmp_path}
    with receiver() as (url, seen), running(pair_store, **allowed) as server:
        answer = server.client.post("/jobs", params={"webhook": url}, json=ARGON).json()
        job, secret = answer["id"], answer["webhook"]["secret"]
        while server.client.get(f"/jobs/{job}").json()["webhook"]["state"] != "sent":
            assert server.client.get("/livez").status_code == 200
        assert server.client.get(f"/jobs/{job}").json()["webhook"] == {"url": url, "state": "sent"}
    ((headers, body),) = seen
    told = json.loads(body)
    assert (told["type"], told["data"]["id"], told["data"]["done"]) == ("job.done", job, 1)
    timestamp = int(headers["webhook-timestamp"])
    signed = signature(secret, headers["webhook-id"], timestamp, body)
    assert headers["webhook-signature"] == signed


def test_a_job_whose_body_is_lost_ends_and_holds_up_no_other(
    pair_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.jobs.runner, "BACKOFF", 0.0)
    with running(pair_store, jobs_folder=tmp_path, models="pairs@1") as server:
        lost = server.client.post("/jobs", json={"structures": clusters(3)}).json()["id"]
        ended(server, lost)
    database = Database("", tmp_path)
    with database.write() as connection:
        connection.execute(update(tables.jobs).values(state="running", ended=None))
        connection.execute(update(tables.chunks).values(state="waiting", results=None))
    database.close()
    with running(pair_store, jobs_folder=tmp_path, models="pairs@1") as server:
        other = server.client.post("/jobs", json={"structures": clusters(2)}).json()["id"]
        assert ended(server, other)["done"] == 2
        assert ended(server, lost)["failed"] == 3
        results = server.client.get(f"/jobs/{lost}/results").json()["results"]
        assert "could not be answered in 8 attempts" in results[0]["error"]["message"]
