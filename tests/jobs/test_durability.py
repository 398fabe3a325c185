"""Jobs outlive the processes that work on them: real services, killed in the middle."""

import contextlib
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.jobs.argon import clusters
from tests.jobs.postgres import Postgres
from tests.jobs.processes import Process, served

COUNT = 1000
BODY = {"structures": clusters(COUNT), "relax": {"fmax": 0.01}}


def results(process: Process, job: str) -> list[dict[str, Any]]:
    """All results of a job, once it has ended."""
    answer = process.client.get(f"/jobs/{job}/results?stream=true")
    return [result for line in answer.text.splitlines() for result in orjson.loads(line)["results"]]


def check_each_has_one(process: Process, job: str) -> None:
    """Each structure has one result, of its own."""
    got = results(process, job)
    assert [result["id"] for result in got] == [f"cluster {n}" for n in range(COUNT)]
    direct = process.client.post("/predict", json={"structures": BODY["structures"]}).json()
    for relaxed, point in zip(got, direct["results"], strict=True):
        assert relaxed["energy"] == pytest.approx(point["energy"], rel=1e-9)
        assert relaxed["relaxed"]["converged"]
        assert relaxed["relaxed"]["energy"] <= relaxed["energy"]
    shown = process.client.get(f"/jobs/{job}").json()
    assert (shown["state"], shown["done"], shown["failed"]) == ("done", COUNT, 0)


def until_under_way(process: Process, folder: Path, job: str) -> None:
    """Wait until something of a chunk is kept that has not ended, and of others nothing."""
    while not any(path.name.isdecimal() for path in (folder / job / "work").iterdir()):
        assert process.client.get(f"/jobs/{job}").json()["state"] in ("queued", "running")


def test_killed_in_the_middle_it_goes_on_and_each_structure_has_one_result(
    pair_store: Path, tmp_path: Path, database: str
) -> None:
    with served(pair_store, tmp_path, database=database) as first:
        job = first.client.post("/jobs", json=BODY).json()["id"]
        until_under_way(first, tmp_path, job)
        assert first.client.get(f"/jobs/{job}").json()["left"] > 0
        first.kill()
    with served(pair_store, tmp_path, database=database) as second:
        check_each_has_one(second, job)
    assert any("goes on: " in line for line in second.log)


def test_relaxations_go_on_where_they_were(pair_store: Path, tmp_path: Path) -> None:
    steps, count = 1000, 4
    endless = {"structures": clusters(count, 5), "relax": {"fmax": 1e-300, "steps": steps}}
    with served(pair_store, tmp_path) as first:
        job = first.client.post("/jobs", json=endless).json()["id"]
        until_under_way(first, tmp_path, job)
        first.kill()
    with served(pair_store, tmp_path) as second:
        got = results(second, job)
        evaluated = second.metric("equipot_batch_structures_sum")
    assert [result["relaxed"]["steps"] for result in got] == [steps] * count
    assert any(re.search("0 results, [1-4] relaxations under way", line) for line in second.log)
    assert evaluated < count * steps


def test_two_processes_share_a_job_and_do_nothing_twice(
    pair_store: Path, tmp_path: Path, server: Postgres
) -> None:
    url = server.create("shared")
    with contextlib.ExitStack() as stack:
        pair = [
            stack.enter_context(served(pair_store, tmp_path, database=url, job_lease=30))
            for _ in range(2)
        ]
        job = pair[0].client.post("/jobs", json=BODY).json()["id"]
        check_each_has_one(pair[1], job)
        ended = [process.metric("equipot_relaxations_total") for process in pair]
        assert sum(ended) == COUNT
        assert min(ended) > 0
