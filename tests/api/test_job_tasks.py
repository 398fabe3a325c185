"""Tasks as jobs: one result a structure, told while they run, and gone on with after a restart."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import ormsgpack
import pytest

import app.engine.load
import app.jobs.runner
from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.store.card import ModelCard
from tests.api.server import Gated, Running, running
from tests.jobs.argon import clusters
from tests.jobs.processes import served

SILICON = {"id": "bad", "symbols": ["Si"], "positions": [[0, 0, 0]]}
XYZ = "chemical/x-xyz"
CRYSTAL = {
    "symbols": ["Ar"],
    "positions": [[0, 0, 0]],
    "cell": [[0, 2.65, 2.65], [2.65, 0, 2.65], [2.65, 2.65, 0]],
    "pbc": [True, True, True],
}


@pytest.fixture(scope="module")
def service(pair_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(pair_store, jobs_folder=tmp_path_factory.mktemp("jobs")) as server:
        yield server


def ended(service: Running, job: str) -> dict[str, Any]:
    events = service.client.get(f"/jobs/{job}/events").text.strip().split("\n\n")
    last: dict[str, Any] = json.loads(events[-1].partition("data: ")[2])
    return last


def results(service: Running, job: str) -> list[dict[str, Any]]:
    answer = service.client.get(f"/jobs/{job}/results?stream=true&format=json")
    return [r for line in answer.text.splitlines() for r in orjson.loads(line)["results"]]


def submit(service: Running, task: str, body: Any) -> dict[str, Any]:
    answer = service.client.post(f"/jobs?task={task}", json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def test_it_finds_what_the_task_finds_at_once(service: Running) -> None:
    options = {"temperature_K": 90, "hessian": True}
    body = {
        "structures": [*clusters(3, 2), SILICON],
        "options": options,
        "allow_odd_electrons": True,
    }
    job = submit(service, "thermo", body)
    assert job["task"] == "thermo"
    assert job["estimate"]["seconds"] is None
    *got, bad = results(service, job["id"])
    direct = service.client.post("/tasks/thermo", json=body).json()["results"]
    assert bad["error"] == direct[-1]["error"]
    assert [set(result) for result in got] == [set(result) for result in direct[:-1]]
    for one, other in zip(got, direct[:-1], strict=True):
        assert set(one["value"]) == set(other["value"])
        for name in ("gibbs_energy_eV", "zero_point_energy_eV"):
            assert one["value"][name] == pytest.approx(other["value"][name], abs=1e-8)
    shown = ended(service, job["id"])
    assert (shown["done"], shown["failed"], shown["left"], shown["task"]) == (3, 1, 0, "thermo")
    assert "under_way" not in shown


@pytest.mark.parametrize("kind", ["json", "msgpack", "lines"])
def test_results_in_the_formats_that_hold_them(service: Running, kind: str) -> None:
    frames = "".join(f"2\n\nAr 0 0 0\nAr 0 0 {3.6 + 0.1 * i}\n" for i in range(2))
    query = "task=scan&atoms=0,1&range_A=3.5,4.5&points=3"
    answer = service.client.post(f"/jobs?{query}", content=frames, headers={"Content-Type": XYZ})
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    assert ended(service, job)["done"] == 2
    got = service.client.get(f"/jobs/{job}/results?format={kind}")
    if kind == "lines":
        found = [line for line in map(json.loads, got.text.splitlines()) if line["status"] == "ok"]
    else:
        found = (orjson.loads if kind == "json" else ormsgpack.unpackb)(got.content)["results"]
    assert [len(result["value"]["energies_eV"]) for result in found] == [3, 3]
    # Of files, too, the default is a format that holds them.
    assert service.client.get(f"/jobs/{job}/results").json()["results"]
    refused = service.client.get(f"/jobs/{job}/results?format=xyz")
    assert "xyz does not hold what scan finds" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("task", "options"),
    [("md", {"steps": 5, "timestep_fs": 5}), ("energies-of", {"difference": "deformation"})],
)
def test_options_are_kept_as_they_were_stated(
    service: Running, task: str, options: dict[str, Any]
) -> None:
    """A default that was not stated may not stand beside what was."""
    asked = {"structures": clusters(1, 2), "options": options}
    job = submit(service, task, asked)["id"]
    assert ended(service, job)["state"] == "done"
    (kept,) = results(service, job)
    at_once = service.client.post(f"/tasks/{task}", json=asked).json()["results"]
    assert kept["status"] == at_once[0]["status"]


def test_what_cannot_be_read_again_is_an_error_of_each(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of which nothing can be made ends, and others after it."""

    def unreadable(*_: Any) -> Any:
        raise ValueError("of another time")

    monkeypatch.setattr(app.jobs.runner, "request_of", unreadable)
    monkeypatch.setattr(app.jobs.runner, "HOPELESS", 1)
    monkeypatch.setattr(app.jobs.runner, "BACKOFF", 0.01)
    job = submit(service, "thermo", {"structures": clusters(2, 2)})["id"]
    now = ended(service, job)
    assert (now["state"], now["failed"]) == ("done", 2)
    for result in results(service, job):
        assert "cannot be read again: of another time" in result["error"]["message"]


def test_lines_have_options_in_the_query(service: Running) -> None:
    lines = "".join(json.dumps(each) + "\n" for each in clusters(2, 2))
    headers = {"Content-Type": "application/x-ndjson"}
    answer = service.client.post(
        "/jobs?task=thermo&temperature_K=70", content=lines, headers=headers
    )
    found = results(service, answer.json()["id"])
    assert [result["value"]["temperature_K"] for result in found] == [70, 70]


STATE = {
    "random_seed": 1,
    "replica": 0,
    "temperature_K": 50.0,
    "step": 3,
    "time_fs": 1.5,
    "numbers": [18],
    "charge": 0,
    "positions_A": [[0.0, 0.0, 0.0]],
    "velocities_A_per_fs": [[0.0, 0.0, 0.0]],
}


@pytest.mark.parametrize(
    ("query", "body", "code", "told"),
    [
        ("task=none", {}, "unknown_task", "no task 'none'"),
        ("task=eos&task=eos", {}, "invalid_request", "task: is given twice"),
        ("task=eos", {"options": {"poits": 5}}, "invalid_request", "options.poits: unknown field"),
        ("task=eos", {"options": {"points": 4}}, "invalid_request", "options.points: "),
        ("task=eos", {"relax": True}, "invalid_request", "relax: unknown field"),
        ("", {"options": {}}, "invalid_request", "options: unknown field"),
        ("task=scan", {}, "invalid_request", "options"),
        ("task=md", {"options": {"steps": 100_000}}, "too_large", "steps: 1 replicas of 100000"),
        (
            "task=scan",
            {"options": {"atoms": [0, 9], "range_A": [3, 4]}},
            "invalid_structure",
            "the structure repeats (pbc); scans are of molecules",
        ),
        (
            "task=neb",
            {"options": {"ends": [{"symbols": ["O"], "positions": [[0, 0, 0]]}]}},
            "invalid_structure",
            "ends.0.symbols: O1, and the structure is",
        ),
        (
            "task=md",
            {"options": {"restart": [STATE]}},
            "invalid_request",
            "restart: is of one structure, and several are asked for",
        ),
    ],
)
def test_what_is_wrong_is_said_at_once(
    service: Running, query: str, body: dict[str, Any], code: str, told: str
) -> None:
    document = {"structures": [CRYSTAL, CRYSTAL], **body}
    answer = service.client.post(f"/jobs?{query}", json=document)
    assert answer.status_code in (404, 413, 422), answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert told in error["message"]


class Stopping(Gated):
    """Waits after so many batches until it is told to go on."""

    calls, most = 0, 40

    def __call__(self, graph: Graph) -> Prediction:
        self.calls += 1
        if self.calls == self.most:
            self.gate.clear()
        return super().__call__(graph)


def test_it_is_told_how_far_it_is_and_can_be_cancelled(
    pair_store: Path, pair_card: ModelCard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backend = Stopping(pair_card)
    monkeypatch.setattr(app.engine.load, "load_backend", lambda *_: backend)
    with running(pair_store, jobs_folder=tmp_path, batch_structures=1, measure=False) as server:
        job = submit(server, "thermo", {"structures": [*clusters(1, 2), *clusters(1, 8)]})["id"]
        seen = list[dict[str, Any]]()
        with server.client.stream("GET", f"/jobs/{job}/events") as events:
            for line in events.iter_lines():
                shown = json.loads(line.partition(": ")[2]) if line.startswith("data") else {}
                seen += shown.get("under_way", [])
                if {each["stage"] for each in seen} == {"relaxation", "displaced copies"}:
                    break
                if seen and not backend.gate.is_set():
                    backend.most = backend.calls + 10
                    backend.gate.set()
        for each in seen:
            assert each["structure"] in (0, 1)
            assert each["done"] >= 1
            assert each["total"] == {"displaced copies": (12, 48)[each["structure"]]}.get(
                each["stage"]
            )
        backend.gate.set()
        cancelled = server.client.delete(f"/jobs/{job}").json()
        assert cancelled["state"] in ("cancelled", "done")
        assert "under_way" not in cancelled
        for result in results(server, job):
            assert result["status"] == "ok" or result["error"]["code"] == "cancelled"


def test_killed_in_the_middle_each_structure_has_one_result(
    pair_store: Path, tmp_path: Path
) -> None:
    body = {"structures": clusters(60, 5), "options": {"temperature_K": 50}}
    with served(pair_store, tmp_path) as service:
        job = service.client.post("/jobs?task=thermo", json=body).json()["id"]
        while not service.client.get(f"/jobs/{job}/results").json()["results"]:
            pass
        service.kill()
    with served(pair_store, tmp_path) as service:
        answer = service.client.get(f"/jobs/{job}/results?stream=true&format=json")
        found = [r for line in answer.text.splitlines() for r in orjson.loads(line)["results"]]
        assert [result["id"] for result in found] == [each["id"] for each in body["structures"]]
        assert all(result["value"]["temperature_K"] == 50 for result in found)
        shown = service.client.get(f"/jobs/{job}").json()
        assert (shown["done"], shown["left"], shown["task"]) == (60, 0, "thermo")
