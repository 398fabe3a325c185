"""Spans of requests, as OpenTelemetry's own exporter in memory gets them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import InvalidRequest
from app.telemetry import tracing
from tests.access.issued import issue
from tests.api.server import ARGON, Running, running

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="equipot[otel] is not installed")
export = pytest.importorskip("opentelemetry.sdk.trace.export")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SENT = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "mine"}


@pytest.fixture
def exporter() -> Iterator[Any]:
    provider, kept = sdk.TracerProvider(), memory.InMemorySpanExporter()
    provider.add_span_processor(export.SimpleSpanProcessor(kept))
    tracing.use_provider(provider)
    yield kept
    tracing.use_provider(None)


@pytest.fixture(scope="module")
def served(pair_store: Path) -> Iterator[Running]:
    with running(pair_store) as server:
        yield server


def spans(exporter: Any, served: Running, route: str = "POST /predict") -> list[Any]:
    """Those of a request, once its own has ended, which comes after its answer."""
    for _ in range(5000):
        found = exporter.get_finished_spans()
        if any(span.name == route for span in found):
            return [span for span in found if "livez" not in span.name]
        served.client.get("/livez")
    raise AssertionError("the request has no span")


def test_a_request_has_its_parts_within_the_trace_that_it_belongs_to(
    exporter: Any, served: Running
) -> None:
    assert served.predict(ARGON, headers=SENT).status_code == 200
    found = {span.name: span for span in spans(exporter, served)}
    assert set(found) == {"POST /predict", "parse", "graph", "queue", "evaluate", "write"}
    whole = found.pop("POST /predict")
    assert {span.context.trace_id for span in (whole, *found.values())} == {int(TRACE, 16)}
    assert whole.parent.span_id == int(PARENT, 16)
    assert {span.parent.span_id for span in found.values()} == {whole.context.span_id}
    assert dict(whole.attributes) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "equipot.structures": 1,
        "equipot.atoms": 2,
        "equipot.request_id": "mine",
        "equipot.spans_left_out": 0,
    }
    order = [found[name] for name in ("parse", "graph", "queue", "evaluate", "write")]
    assert all(span.start_time <= span.end_time for span in order)
    assert found["queue"].end_time == pytest.approx(found["evaluate"].start_time, abs=1e6)
    assert [span.start_time for span in order] == sorted(span.start_time for span in order)


def test_a_relaxation_is_one_span(exporter: Any, served: Running) -> None:
    served.predict({**ARGON, "relax": {"fmax": 1e-4}})
    names = [span.name for span in spans(exporter, served)]
    assert names.count("relax") == 1
    assert names.count("evaluate") == 0


def test_of_many_structures_the_first_have_spans(exporter: Any, served: Running) -> None:
    served.predict({"structures": [ARGON] * 100})
    found = spans(exporter, served)
    (whole,) = [span for span in found if span.name == "POST /predict"]
    assert len(found) == tracing.MOST + 1
    assert whole.attributes["equipot.spans_left_out"] == 302 - tracing.MOST
    assert whole.attributes["equipot.structures"] == 100


def test_errors_and_keys_are_told(exporter: Any, pair_store: Path, tmp_path: Path) -> None:
    key = issue(tmp_path / "keys", "alice", "predict")
    with running(pair_store, api_keys_file=tmp_path / "keys") as server:
        server.client.get("/jobs", headers=key)
        spans(exporter, server, "GET other")
        server.predict({"what": 1}, headers=key)
        found = spans(exporter, server)
    told = {
        s.name: (s.attributes["http.response.status_code"], s.attributes["equipot.key"])
        for s in found
        if s.parent is None
    }
    assert told == {"GET other": (403, "alice"), "POST /predict": (422, "alice")}


def test_without_a_provider_there_are_none(served: Running) -> None:
    assert served.predict(ARGON, headers=SENT).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_nothing_is_made_that_is_not_asked_for(given: dict[str, str]) -> None:
    tracing.start_tracing(given)()
    with tracing.request_span(tracing.RequestContext("r"), {}) as span:
        assert span is None


@pytest.mark.parametrize(
    "given",
    [
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_what_cannot_be_made_is_told(given: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="otlp over http/protobuf"):
        tracing.start_tracing(given)


def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(InvalidRequest, match=r"pip install 'equipot\[otel\]'"):
        tracing.start_tracing({"OTEL_TRACES_EXPORTER": "console"})


def test_the_command_makes_what_the_variables_ask_for() -> None:
    quiet = {"EQUIPOT_JOBS_FOLDER": "", "EQUIPOT_CACHE": "", "EQUIPOT_MEASURE": "false"}
    own = {
        "EQUIPOT_PORT": "0",
        "EQUIPOT_MODELS": "lennard-jones",
        "OTEL_TRACES_EXPORTER": "console",
    }
    command = [sys.executable, "-m", "app.cli.main", "serve"]
    with subprocess.Popen(
        command,
        env={**os.environ, **quiet, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        listening = next(line for line in lines if "listening on" in line)
        url = "http://127.0.0.1:" + listening.rstrip().rpartition(":")[2]
        assert httpx.get(f"{url}/livez", headers=SENT).status_code == 200
        process.terminate()
        out, _ = process.communicate(timeout=60)
    told = json.loads(out)
    assert (told["name"], told["context"]["trace_id"]) == ("GET /livez", f"0x{TRACE}")
    assert told["resource"]["attributes"]["service.name"] == "equipot"
    assert re.fullmatch(r"0x[0-9a-f]{16}", told["context"]["span_id"])
