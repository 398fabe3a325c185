"""The OpenAPI document: real answers are what it says they are."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.api.server import ARGON, CRYSTAL, Running, running

BAD = {"symbols": ["Si"], "positions": [[0, 0, 0]]}
EVERYTHING = ["energy", "forces", "stress", "energies"]


@pytest.fixture(scope="module")
def document(service: Running) -> dict[str, Any]:
    schema: dict[str, Any] = service.client.get("/openapi.json").json()
    return schema


def check(document: dict[str, Any], path: str, method: str, response: Any) -> None:
    """Hold a response to the schema of its status; no field may be unknown to it."""
    described = document["paths"][path][method]["responses"][str(response.status_code)]
    schema = described["content"]["application/json"]["schema"]
    whole = {**schema, "components": document["components"]}
    errors = [e.message for e in Draft202012Validator(whole).iter_errors(response.json())]
    assert not errors


@pytest.mark.parametrize(
    "body",
    [
        ARGON,
        {"structures": [ARGON, CRYSTAL, BAD], "properties": EVERYTHING},
        {"structures": [ARGON, CRYSTAL], "relax": {"fmax": 0.01, "steps": 3}},
        {"structures": [CRYSTAL], "relax": {"cell": True}},
        {"structures": [ARGON], "properties": ["energy"]},
    ],
    ids=["one", "several, one of them bad", "relaxed", "with its cell", "energy"],
)
def test_predictions(service: Running, document: dict[str, Any], body: Any) -> None:
    response = service.predict(body)
    assert response.status_code == 200
    check(document, "/predict", "post", response)


@pytest.mark.parametrize(
    "body",
    [[], {"structures": []}, {**ARGON, "model": "none"}, BAD],
    ids=["list", "empty", "model", "no structure that can be answered"],
)
def test_errors(service: Running, document: dict[str, Any], body: Any) -> None:
    response = service.predict(body)
    assert response.status_code in (404, 422)
    check(document, "/predict", "post", response)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/", "/"),
        ("/models", "/models"),
        ("/models/pairs", "/models/{name}"),
        ("/models/none", "/models/{name}"),
        ("/livez", "/livez"),
        ("/readyz", "/readyz"),
    ],
)
def test_what_is_asked_by_get(
    service: Running, document: dict[str, Any], url: str, path: str
) -> None:
    check(document, path, "get", service.client.get(url))


def test_jobs(pair_store: Path, tmp_path: Path, document: dict[str, Any]) -> None:
    with running(pair_store, jobs_folder=tmp_path) as server:
        client = server.client
        answer = client.post("/jobs", json={"structures": [ARGON, BAD]})
        check(document, "/jobs", "post", answer)
        job = answer.json()["id"]
        assert client.get(f"/jobs/{job}/events").status_code == 200
        for method, path in (("get", ""), ("get", "/results"), ("delete", "")):
            answer = client.request(method, f"/jobs/{job}{path}")
            assert answer.status_code == 200
            check(document, f"/jobs/{{id}}{path}", method, answer)
            check(document, f"/jobs/{{id}}{path}", method, client.request(method, "/jobs/none"))
        check(document, "/jobs", "get", client.get("/jobs"))
        check(document, "/jobs", "get", client.get("/jobs?limit=0"))
        check(document, "/jobs", "post", client.post("/jobs", json=[]))


def test_metrics_are_text(document: dict[str, Any]) -> None:
    answer = document["paths"]["/metrics"]["get"]["responses"]["200"]
    assert list(answer["content"]) == ["text/plain"]
