"""The service on a cluster answers as the one in one process does, whatever happens to replicas."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.api.server import ARGON, CRYSTAL, WATER, Running, running
from tests.paths import ROOT

LIMITS = {"max_structures": 400, "max_atoms": 500, "max_body_bytes": 2_000_000}
XENON = {"numbers": [54], "positions": [[0.0, 0.0, 0.0]], "id": "xe"}
XYZ = b"2\nid=a\nAr 0 0 0\nAr 0 0 3.9\n1\nid=b\nXe 0 0 0\n"
LINES = b'{"numbers": [18], "positions": [[0, 0, 0]], "id": "one"}\nnonsense\n'
JSON, TEXT, NDJSON = "application/json", "chemical/x-xyz", "application/x-ndjson"


@contextmanager
def serving(
    address: str, store: Path, settings: dict[str, str], *scale: str
) -> Iterator[httpx.Client]:
    """A client of `equipot serve --ray`, once that is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"EQUIPOT_CACHE": "", "EQUIPOT_MEASURE": "false", **settings}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "client")])
    command = ["serve", "--ray", address, "--port", str(port), "--model-store", str(store)]
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", *command, "--default-model", "pairs", *scale],
        cwd=ROOT,
        env={**os.environ, **own, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert child.stderr is not None
            said: list[str] = []
            while not any("listening on" in line for line in said):
                said.append(child.stderr.readline())
                assert said[-1], "".join(said)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=280) as client:
                while client.get("/readyz").status_code != 200:
                    time.sleep(0.1)
                yield client
        finally:
            child.send_signal(signal.SIGTERM)
            child.communicate(timeout=60)
    assert child.returncode == 0


@pytest.fixture(scope="module")
def clustered(
    address: str, pair_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a service with two replicas."""
    settings = {f"EQUIPOT_{name.upper()}": str(value) for name, value in LIMITS.items()}
    settings["EQUIPOT_JOBS_FOLDER"] = str(tmp_path_factory.mktemp("jobs"))
    scale = ("--min-replicas", "2", "--replica-cpus", "1")
    with serving(address, pair_store, settings, *scale) as client:
        yield client


@pytest.fixture(scope="module")
def alone(pair_store: Path) -> Iterator[Running]:
    """The same service in one process."""
    with running(pair_store, **LIMITS) as server:
        yield server


REQUESTS: dict[str, tuple[str, str, Any, str]] = {
    "one": ("POST", "/predict", {"structures": [ARGON]}, JSON),
    "several": ("POST", "/predict", {"structures": [ARGON, XENON, CRYSTAL, WATER]}, JSON),
    "strict": ("POST", "/predict", {"structures": [WATER], "strict": True}, JSON),
    "version": ("POST", "/predict", {"structures": [ARGON], "model": "pairs@1"}, JSON),
    "no model": ("POST", "/predict", {"structures": [ARGON], "model": "other"}, JSON),
    "energy": ("POST", "/predict", {"structures": [ARGON], "properties": ["energy"]}, JSON),
    "relaxed": ("POST", "/predict", {"structures": [ARGON, XENON], "relax": {"fmax": 1e-3}}, JSON),
    "cell": ("POST", "/predict", {"structures": [CRYSTAL], "relax": {"cell": "full"}}, JSON),
    "empty": ("POST", "/predict", {"structures": []}, JSON),
    "nonsense": ("POST", "/predict", b"{", JSON),
    "field": ("POST", "/predict", {"structures": [ARGON], "modle": "pairs"}, JSON),
    "too many": ("POST", "/predict", {"structures": [ARGON] * 401}, JSON),
    "too large": ("POST", "/predict", {"structures": [{"numbers": [18] * 501}]}, JSON),
    "bulk": ("POST", "/predict", {"structures": [ARGON, XENON] * 200}, JSON),
    "xyz": ("POST", "/predict", XYZ, TEXT),
    "query": ("POST", "/predict?relax=true&fmax=0.001", XYZ, TEXT),
    "lines": ("POST", "/predict", LINES, NDJSON),
    "task": ("POST", "/eos", {"structures": [CRYSTAL]}, JSON),
    "models": ("GET", "/models", None, JSON),
    "card": ("GET", "/models/pairs@1", None, JSON),
    "infer": ("GET", "/v2/models/pairs", None, JSON),
    "nowhere": ("GET", "/nowhere", None, JSON),
    "method": ("PUT", "/predict", None, JSON),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_it_answers_as_one_process_does(clustered: httpx.Client, alone: Running, name: str) -> None:
    method, path, body, kind = REQUESTS[name]
    given: dict[str, Any] = {"headers": {"Content-Type": kind}}
    if body is not None:
        given["content" if isinstance(body, bytes) else "json"] = body
    there, here = (
        clustered.request(method, path, **given),
        alone.client.request(method, path, **given),
    )
    assert there.status_code == here.status_code, there.text
    for header in ("content-type", "x-equipot-model", "allow"):
        assert there.headers.get(header) == here.headers.get(header)
    if kind == JSON:
        assert_alike(there.json(), here.json())
    else:
        assert parts(there.text) == parts(here.text)


NUMBER = re.compile(r"[-+]?\d+\.\d*(?:[eE][-+]?\d+)?")


def parts(text: str) -> list[str]:
    """Words of a text, numbers rounded; in no order, since lines come as they are ready."""
    rounded = NUMBER.sub(lambda found: f"{float(found[0]) + 0.0:.6f}", text)
    return sorted(re.split(r"[\s,]+", rounded.replace("-0.000000", "0.000000")))


def assert_alike(one: Any, other: Any, where: str = "") -> None:
    """Two documents, but for rounding, ids of requests and what is of a process."""
    if isinstance(one, dict) and isinstance(other, dict):
        mine, theirs = (set(each) - {"request_id", "budget"} for each in (one, other))
        assert mine == theirs, where
        for key in mine:
            assert_alike(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list) and isinstance(other, list):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_alike(*pair, f"{where}.{number}")
    elif isinstance(one, float) and isinstance(other, float):
        assert one == pytest.approx(other, abs=1e-6), where
    else:
        assert one == other, where


def replicas() -> list[int]:
    """Processes of this machine that are replicas of the engine."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            title = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::ServeReplica:equipot:engine"):
            found.append(int(folder.name))
    return found


def test_a_replica_that_is_killed_costs_no_request(clustered: httpx.Client) -> None:
    """Each structure has one answer, in its place."""
    random = np.random.default_rng(2)
    grid = 3.8 * np.array(list(np.ndindex(3, 3, 2)), float)
    structures = [
        {
            "numbers": [18] * 18,
            "positions": (grid + random.normal(0, 0.2, grid.shape)).tolist(),
            "id": f"m{i}",
        }
        for i in range(300)
    ]
    body = {"structures": structures, "relax": {"fmax": 1e-4, "steps": 300}}
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(clustered.post("/predict", json=body)))
    before = replicas()
    assert len(before) == 2
    asking.start()
    time.sleep(1.0)
    assert asking.is_alive()
    os.kill(before[0], signal.SIGKILL)
    asking.join()
    (answer,) = answers
    assert answer.status_code == 200, answer.text[:500]
    results = answer.json()["results"]
    assert [result["id"] for result in results] == [f"m{i}" for i in range(300)]
    assert all(result["status"] == "ok" for result in results)
    counted = clustered.get("/metrics").text
    told = re.findall(
        r'equipot_relaxations_total\{model="pairs@2",reason="converged"\} (\S+)', counted
    )
    assert sum(map(float, told)) >= 300


def test_a_job_is_worked_by_replicas(clustered: httpx.Client) -> None:
    """It waits in the queue's gauge, and each of its structures has its result."""
    body = {"structures": [ARGON, XENON] * 150}
    job = clustered.post("/jobs", json=body).json()
    while job["state"] not in ("done", "failed"):
        time.sleep(0.2)
        job = clustered.get(f"/jobs/{job['id']}").json()
    assert (job["state"], job["done"], job["failed"]) == ("done", 150, 150)
