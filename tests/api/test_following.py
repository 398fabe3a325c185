"""A relaxation that is followed in server-sent events."""

import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.api.server import ARGON, WATER, Gated, Running

EVENTS = {"Accept": "text/event-stream"}
RELAX = {"fmax": 1e-5, "optimizer": "fire"}


def events_of(response: httpx.Response) -> list[tuple[str, Any]]:
    """Names and data of all events of an answer."""
    parts = [part.split("\n") for part in response.text.split("\n\n") if part]
    return [(name[len("event: ") :], json.loads(data[len("data: ") :])) for name, data in parts]


def test_steps_come_between_the_beginning_and_the_answer_of_the_same_request(
    service: Running,
) -> None:
    body = {**ARGON, "relax": RELAX}
    response = service.predict(body, headers=EVENTS)
    assert response.headers["content-type"].startswith("text/event-stream")
    (first, begin), *steps, (last, end) = events_of(response)
    assert (first, last) == ("begin", "end")
    assert begin["structure"]["positions"] == ARGON["positions"]
    assert end == service.predict(body).json()
    relaxed = end["results"][0]["relaxed"]
    assert {name for name, _ in steps} == {"step"}
    assert min(step["energy"] for _, step in steps) >= relaxed["energy"]
    taken = [step["steps"] for _, step in steps]
    assert taken == sorted(set(taken))
    assert taken[-1] < relaxed["steps"]


def test_a_step_is_what_a_relaxation_of_so_many_steps_ends_with(service: Running) -> None:
    _, (_, step), *_ = events_of(service.predict({**ARGON, "relax": RELAX}, headers=EVENTS))
    shorter = {**ARGON, "relax": {**RELAX, "steps": step["steps"]}}
    relaxed = service.predict(shorter).json()["results"][0]["relaxed"]
    assert relaxed["reason"] == "steps"
    assert step["energy"] == pytest.approx(relaxed["energy"], abs=1e-12)
    assert step["fmax"] == pytest.approx(relaxed["fmax"], abs=1e-12)
    np.testing.assert_allclose(step["positions"], relaxed["positions"], atol=1e-12)


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        (ARGON, "invalid_request", "relax"),
        ({"structures": [ARGON, ARGON], "relax": True}, "invalid_request", "2 are asked for"),
        ({"symbols": ["Ar"], "positions": [[0]], "relax": True}, "invalid_request", "positions"),
        ({**ARGON, "relax": True, "model": "none"}, "unknown_model", "none"),
    ],
    ids=["no relaxation", "two structures", "no structure", "no model"],
)
def test_what_is_wrong_before_it_begins_is_a_status(
    service: Running, body: Any, code: str, told: str
) -> None:
    response = service.predict(body, headers=EVENTS)
    assert response.status_code in (404, 422)
    assert response.json()["error"]["code"] == code
    assert told in response.json()["error"]["message"]


def test_lines_are_not_followed(service: Running) -> None:
    headers = {**EVENTS, "Content-Type": "application/x-ndjson"}
    response = service.client.post("/predict", content=json.dumps(ARGON), headers=headers)
    assert response.status_code == 422


def test_what_is_wrong_with_the_structure_is_its_result(service: Running) -> None:
    alien = {"symbols": ["Si"], "positions": [[0, 0, 0]], "relax": True}
    (_, begin), (name, end) = events_of(service.predict(alien, headers=EVENTS))
    assert begin["model"]["name"] == "pairs"
    assert name == "end"
    assert end["error"]["code"] == "unsupported_element"


def test_a_client_that_leaves_leaves_its_place_in_the_queue(gated: tuple[Running, Gated]) -> None:
    service, backend = gated
    backend.close()
    body = {"structures": [ARGON], "relax": True}
    with service.client.stream("POST", "/predict", json=body, headers=EVENTS) as response:
        assert next(response.iter_lines()) == "event: begin"
        assert backend.entered.wait(60)
    backend.gate.set()
    full = {"structures": [ARGON] * 3}
    for _ in range(5000):
        answer = service.predict(full)
        if answer.status_code == 200:
            return
    raise AssertionError(answer.text)


def test_a_task_is_followed_too(bundled: Running) -> None:
    response = bundled.client.post("/tasks/thermo", json=WATER, headers=EVENTS)
    assert response.headers["content-type"].startswith("text/event-stream")
    (first, begin), *told, (last, end) = events_of(response)
    assert (first, last) == ("begin", "end")
    assert begin["structure"]["symbols"] == WATER["symbols"]
    assert {name for name, _ in told} == {"step", "progress"}
    progress = [data for name, data in told if name == "progress"]
    assert {(each["stage"], each["total"]) for each in progress} == {("displaced copies", 18)}
    assert progress[-1]["done"] == 18
    assert [each["done"] for each in progress] == sorted(each["done"] for each in progress)
    direct = bundled.client.post("/tasks/thermo", json=WATER).json()
    (result,), (other,) = end["results"], direct["results"]
    assert result["value"]["symmetry_number"] == other["value"]["symmetry_number"] == 2
    assert set(result["value"]) == set(other["value"])


def test_a_scan_tells_of_relaxations_whose_number_is_not_known(service: Running) -> None:
    body = {**ARGON, "options": {"atoms": [0, 1], "range_A": [3.5, 4.5], "points": 4}}
    response = service.client.post("/tasks/scan", json=body, headers=EVENTS)
    told = [data for name, data in events_of(response) if name == "progress"]
    assert {each["stage"] for each in told} == {"relaxations"}
    assert {each["total"] for each in told} == {None}


def test_what_a_task_cannot_do_is_its_end(service: Running) -> None:
    response = service.client.post("/tasks/eos", json=ARGON, headers=EVENTS)
    *_, (name, end) = events_of(response)
    assert name == "end"
    assert end["error"]["code"] == "invalid_structure"
    two = {"structures": [ARGON, ARGON]}
    response = service.client.post("/tasks/thermo", json=two, headers=EVENTS)
    assert "2 are asked for" in response.json()["error"]["message"]


def test_dynamics_tell_of_steps_over_all_replicas(service: Running) -> None:
    options = {"steps": 400, "replicas": 2, "trajectory": "none", "bonds": "ignore"}
    body = {**ARGON, "options": options}
    response = service.client.post("/tasks/md", json=body, headers=EVENTS)
    told = [data for name, data in events_of(response) if name == "progress"]
    assert {(each["stage"], each["total"]) for each in told} == {("steps", 800)}
    assert told[-1]["done"] == 800
