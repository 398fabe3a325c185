"""A service on a cluster has as many replicas as its work wants, and several doors share its jobs."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.test_serving import replicas, serving
from tests.jobs import postgres
from tests.jobs.argon import clusters
from tests.paths import ROOT

TIGHT = {"relax": {"fmax": 1e-6, "steps": 1000}}
GROWS = 240.0
"""Seconds within which one more replica is there; Ray Serve looks at half a minute of load."""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of an empty one in PostgreSQL."""
    folder = postgres.programs()
    if folder is None or not postgres.may_run():
        pytest.skip("PostgreSQL is not installed, or does not run as root")
    with postgres.running(folder) as server:
        yield server.create("doors")


@pytest.mark.slow
def test_replicas_become_more_where_work_waits(
    address: str, pair_store: Path, tmp_path: Path
) -> None:
    """From one to two, and each structure of the jobs that made it wait has its result once."""
    settings = {"EQUIPOT_JOBS_FOLDER": str(tmp_path)}
    scale = ("--min-replicas", "1", "--max-replicas", "2", "--replica-cpus", "1")
    with serving(address, pair_store, settings, *scale) as client:
        assert len(replicas()) == 1
        jobs = []
        until = time.monotonic() + GROWS
        while len(replicas()) < 2:
            assert time.monotonic() < until, "there is still one replica"
            if sum(not has_ended(client, job) for job in jobs) < 2:
                jobs.append(handed_in(client, 2000))
            time.sleep(0.5)
        for job in jobs:
            assert_each_once(client, job, 2000)


def test_several_doors_share_jobs_in_postgresql(
    address: str, pair_store: Path, tmp_path: Path, database: str
) -> None:
    """Whichever door is asked knows them, and all replicas work at them."""
    settings = {"EQUIPOT_JOBS_FOLDER": str(tmp_path), "EQUIPOT_DATABASE": database}
    scale = ("--min-replicas", "2", "--replica-cpus", "0.5", "--doors", "2")
    with serving(address, pair_store, settings, *scale) as client:
        processes = replicas()
        assert len(processes) == 2
        before = [*map(processor_ticks, processes)]
        jobs = [handed_in(client, 900) for _ in range(4)]
        for job in jobs:
            assert_each_once(client, job, 900)
        after = map(processor_ticks, processes)
        used = [late - early for late, early in zip(after, before, strict=True)]
        assert min(used) > 0.1 * max(used), used
        assert_no_other(address, pair_store)
        listed = {job["id"] for job in client.get("/jobs").json()["jobs"]}
        assert listed >= set(jobs)


def assert_no_other(address: str, store: Path) -> None:
    """A second service on the same cluster is refused, and the first one stays."""
    command = ["serve", "--ray", address, "--model-store", str(store), "--default-model", "pairs"]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "client")])
    done = subprocess.run(
        [sys.executable, "-m", "app.cli.main", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "a service of Equipot is on this cluster already" in done.stderr


def processor_ticks(process: int) -> int:
    """Processor time of a process, in ticks of the system's clock."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def handed_in(client: httpx.Client, structures: int) -> str:
    """The id of a job of so many relaxations."""
    answer = client.post("/jobs", json={"structures": clusters(structures), **TIGHT})
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["id"])


def has_ended(client: httpx.Client, job: str) -> bool:
    return state(client, job)["state"] in ("done", "failed")


def state(client: httpx.Client, job: str) -> dict[str, Any]:
    return dict(client.get(f"/jobs/{job}").json())


def assert_each_once(client: httpx.Client, job: str, structures: int) -> None:
    """Wait until it is done; each structure has one result."""
    while not has_ended(client, job):
        time.sleep(0.2)
    told = state(client, job)
    assert (told["state"], told["done"]) == ("done", structures), told
    kind = {"Accept": "application/x-ndjson"}
    with client.stream("GET", f"/jobs/{job}/results?stream=true", headers=kind) as answer:
        lines = list(map(json.loads, answer.iter_lines()))
    ids = Counter(line["id"] for line in lines if "id" in line)
    assert len(lines) - ids.total() <= 2, lines[:3]
    assert ids == Counter(f"cluster {number}" for number in range(structures))
