"""Requests have ids, which answers, errors and lines of the log share."""

import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import app.api.routes.models
from app.telemetry.logs import JsonFormatter, TextFormatter
from equipot import Client, InvalidRequest, UnknownModel
from tests.access.issued import issue
from tests.api.server import ARGON, WATER, Running, running

NAME = "X-Request-ID"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SILICON = {"symbols": ["Si"], "positions": [[0, 0, 0]]}
XYZ = {"Content-Type": "chemical/x-xyz"}


class Lines:
    """What is logged meanwhile, as it would be written."""

    def __init__(self) -> None:
        self._json, self._text = io.StringIO(), io.StringIO()

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._json.getvalue().splitlines()]

    @property
    def text(self) -> str:
        return self._text.getvalue()

    def of(self, request: str) -> list[dict[str, Any]]:
        return [each for each in self.documents if each.get("request_id") == request]

    def handlers(self) -> list[logging.Handler]:
        written = logging.StreamHandler(self._json), logging.StreamHandler(self._text)
        written[0].setFormatter(JsonFormatter())
        written[1].setFormatter(TextFormatter("%(levelname)s %(name)s: %(message)s"))
        return list(written)


@pytest.fixture
def lines() -> Iterator[Lines]:
    logger, captured = logging.getLogger(), Lines()
    own = captured.handlers()
    level = logger.level
    logger.setLevel(logging.INFO)
    for handler in own:
        logger.addHandler(handler)
    yield captured
    logger.setLevel(level)
    for handler in own:
        logger.removeHandler(handler)


@pytest.fixture(scope="module")
def served(pair_store: Path) -> Iterator[Running]:
    with running(pair_store) as server:
        yield server


def test_an_id_that_is_sent_comes_back(served: Running) -> None:
    for path in ("/predict", "/models", "/livez", "/nothing"):
        answer = served.client.get(path, headers={NAME: "mine-1"})
        assert answer.headers.get_list(NAME) == ["mine-1"]


def test_else_there_is_a_new_one(served: Running) -> None:
    asked = [{}, {NAME: "not one"}, {NAME: "x" * 200}]
    ids = [served.predict(ARGON, headers=each).headers[NAME] for each in asked]
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    assert len(set(ids)) == 3


def test_errors_name_the_request(served: Running) -> None:
    bodies = {"what": [1]}, SILICON, {"structures": [SILICON, SILICON]}, {**ARGON, "model": "no"}
    for body in bodies:
        answer = served.predict(body, headers={NAME: "mine-2"})
        assert answer.status_code in (404, 422)
        assert answer.json()["request_id"] == "mine-2"
        assert answer.headers[NAME] == "mine-2"
    missing = served.client.get("/nothing", headers={NAME: "mine-3"})
    assert missing.json()["request_id"] == "mine-3"
    assert "request_id" not in served.predict(ARGON).json()
    mixed = served.predict({"structures": [ARGON, SILICON]})
    assert mixed.status_code == 200
    assert "request_id" not in mixed.json()


def test_so_do_those_of_the_client(served: Running) -> None:
    url = f"http://127.0.0.1:{served.port}"
    with Client(url, headers={NAME: "mine-4"}) as client:
        with pytest.raises(UnknownModel) as refused:
            client.predict(ARGON, model="nothing")
        assert refused.value.request_id == "mine-4"
        with pytest.raises(InvalidRequest) as refused_stream:
            list(client.stream([ARGON], properties=["colour"]))  # type: ignore[list-item]
        assert refused_stream.value.request_id == "mine-4"


def test_a_surprise_is_logged_with_its_request(
    served: Running, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(app.api.routes.models, "service_of", fail)
    answer = served.client.get("/models", headers={NAME: "mine-5"})
    assert answer.status_code == 500
    assert (answer.headers[NAME], answer.json()["request_id"]) == ("mine-5", "mine-5")
    # uvicorn logs it after the answer, and then ends the connection
    with pytest.raises(httpx.TransportError):
        _until_closed(served, lines)
    told = lines.of("mine-5")
    assert any("no luck" in each.get("exception", "") for each in told)
    assert {each["status"] for each in told if each["logger"] == "app.requests"} == {500}


def _until_closed(served: Running, lines: Lines) -> None:
    for _ in range(5000):
        if any("exception" in each for each in lines.of("mine-5")):
            raise httpx.TransportError("it is logged")
        served.client.get("/livez")


def test_each_request_has_a_line_without_coordinates(served: Running, lines: Lines) -> None:
    headers = {NAME: "mine-6", "traceparent": TRACE}
    served.predict({"structures": [ARGON, WATER, SILICON]}, headers=headers)
    (line,) = lines.of("mine-6")
    assert line.pop("ms") > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("message").startswith("POST /predict 200 ")
    assert line == {
        "level": "info",
        "logger": "app.requests",
        "request_id": "mine-6",
        "trace_id": TRACE[3:35],
        "method": "POST",
        "route": "/predict",
        "status": 200,
        "structures": 3,
        "atoms": 6,
        "key": None,
    }
    assert re.search(
        r"^INFO app.requests: POST /predict 200 [\d.]+ ms, 3 structures, 6 atoms \[mine-6\]$",
        lines.text,
        re.MULTILINE,
    )
    assert "3.9" not in json.dumps({**line, "ms": None})


def test_streams_are_counted_to_their_end(served: Running, lines: Lines) -> None:
    body = "\n".join(map(json.dumps, [ARGON] * 5)) + "\nno structure\n"
    headers = {NAME: "mine-7", "Content-Type": "application/x-ndjson"}
    answer = served.client.post("/predict", content=body, headers=headers)
    assert answer.text.count('"status":"ok"') == 5
    line = _line(served, lines, "mine-7")
    assert (line["structures"], line["atoms"], line["status"]) == (6, 10, 200)


def _line(served: Running, lines: Lines, request: str) -> dict[str, Any]:
    """The line of a request, which is written after the last byte of its answer."""
    for _ in range(5000):
        if found := lines.of(request):
            return found[0]
        served.client.get("/livez")
    raise AssertionError("there is no line")


def test_what_looks_after_the_service_has_none(served: Running, lines: Lines) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        served.client.get(path)
    assert served.client.get("/models").status_code == 200
    assert {each["route"] for each in lines.documents if "route" in each} <= {"/models"}


def test_it_may_be_off(pair_store: Path, lines: Lines) -> None:
    with running(pair_store, access_log=False) as server:
        server.predict(ARGON, headers={NAME: "mine-8"})
    assert lines.of("mine-8") == []


def test_lines_name_the_key(pair_store: Path, lines: Lines, tmp_path: Path) -> None:
    key = issue(tmp_path / "keys", "alice", "predict")
    with running(pair_store, api_keys_file=tmp_path / "keys") as server:
        server.predict(ARGON, headers={**key, NAME: "mine-9"})
        server.predict(ARGON, headers={NAME: "mine-10"})
        refused = server.client.get("/jobs", headers={**key, NAME: "mine-11"})
    assert refused.json()["request_id"] == "mine-11"
    shown = [(lines.of(each)[0]["key"], lines.of(each)[0]["status"]) for each in IDS]
    assert shown == [("alice", 200), (None, 401), ("alice", 403)]
    secret = key["Authorization"].removeprefix("Bearer ")
    assert secret not in lines.text + json.dumps(lines.documents)


IDS = ("mine-9", "mine-10", "mine-11")


def test_lines_of_work_that_outlives_a_request_are_not_its(
    pair_store: Path, lines: Lines, tmp_path: Path
) -> None:
    with running(pair_store, jobs_folder=tmp_path / "jobs") as server:
        job = server.client.post("/jobs", json=ARGON, headers={NAME: "mine-12"}).json()["id"]
        assert "event: end" in server.client.get(f"/jobs/{job}/events").text
    (line,) = lines.of("mine-12")
    assert (line["route"], line["structures"]) == ("/jobs", 0)


def test_the_command_writes_documents_and_nothing_else() -> None:
    quiet = {"EQUIPOT_JOBS_FOLDER": "", "EQUIPOT_CACHE": "", "EQUIPOT_MEASURE": "false"}
    own = {"EQUIPOT_PORT": "0", "EQUIPOT_LOG_FORMAT": "json", "EQUIPOT_MODELS": "lennard-jones"}
    command = [sys.executable, "-m", "app.cli.main", "serve"]
    environment = {**os.environ, **quiet, **own}
    written = []
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in iter(process.stderr.readline, ""):
            written.append(json.loads(line))
            if listening := re.search(r"listening on (http://[\d.:]+)", line):
                answer = httpx.get(f"{listening[1]}/models", headers={NAME: "mine-13"})
                assert answer.headers[NAME] == "mine-13"
                process.terminate()
        process.wait(60)
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, written))
    assert [each["route"] for each in written if each.get("request_id")] == ["/models"]
