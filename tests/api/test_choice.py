"""Of several default models, each structure has its own; by a real server."""

import asyncio
import csv
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
from ase.io import read

from app.store.card import ModelCard, PairParameters
from app.store.store import ModelStore
from app.store.training_range import TrainingRange
from equipot import Client
from tests.api.server import Running, running
from tests.jobs.argon import cluster
from tests.jobs.processes import served

DIMER = {"id": "argon", "symbols": ["Ar", "Ar"], "positions": [[0, 0, 0], [0, 0, 3.9]]}
COPPER = {
    "id": "copper",
    "symbols": ["Cu"],
    "positions": [[0, 0, 0]],
    "cell": [[0, 1.9, 1.9], [1.9, 0, 1.9], [1.9, 1.9, 0]],
}
SOLID = {
    "id": "solid",
    "symbols": ["Ar"],
    "positions": [[0, 0, 0]],
    "cell": [[0, 2.7, 2.7], [2.7, 0, 2.7], [2.7, 2.7, 0]],
}
ALIEN = {"id": "alien", "symbols": ["Si"], "positions": [[0, 0, 0]]}
MIXED = [DIMER, COPPER, ALIEN, SOLID]
MODELS = {"argon": "molecules", "copper": "crystals", "solid": "crystals"}
"""Which model is made for each; nobody knows silicon."""
XYZ = '2\nid=argon\nAr 0 0 0\nAr 0 0 3.9\n1\nid=copper Lattice="0 1.9 1.9 1.9 0 1.9 1.9 1.9 0"\nCu 0 0 0\n'


def card(base: ModelCard, name: str, elements: list[str], **trained_on: Any) -> ModelCard:
    """Of a pair potential for some elements, trained on what is said."""
    held = dict.fromkeys(elements, 9.0)
    known = TrainingRange(most_atoms=8, closest={}, farthest=held, least_ratio=0.1, **trained_on)
    pairs = {symbol: PairParameters(epsilon=0.01, sigma=3.4) for symbol in elements}
    changed = {"name": name, "elements": tuple(elements), "pair": pairs, "trained_on": known}
    return base.model_copy(update=changed)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, pair_card: ModelCard) -> Path:
    """A model of molecules of neon and argon, and one of crystals of argon and copper."""
    root = tmp_path_factory.mktemp("choice")
    for published in (
        card(pair_card, "molecules", ["Ne", "Ar"], periodic=False, molecular=True, charges=(0,)),
        card(pair_card, "crystals", ["Ar", "Cu"], periodic=True, molecular=False),
    ):
        with ModelStore(root).publish(published):
            pass
    return root


@contextmanager
def serving(store: Path, **settings: Any) -> Iterator[Running]:
    with running(store, **{"default_model": "molecules,crystals", **settings}) as server:
        yield server


@pytest.fixture(scope="module")
def server(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(store, jobs_folder=tmp_path_factory.mktemp("jobs")) as server:
        yield server


def made_by(results: list[dict[str, Any]]) -> dict[str, str]:
    """Names of the models of results, by id."""
    return {each["id"]: each["model"]["name"] for each in results if each["status"] == "ok"}


def test_each_structure_has_its_model_and_its_numbers(server: Running) -> None:
    answer = server.predict({"structures": MIXED})
    document = answer.json()
    assert [each["id"] for each in document["results"]] == ["argon", "copper", "alien", "solid"]
    assert made_by(document["results"]) == MODELS
    assert document["model"] is None
    for structure, result in zip(MIXED, document["results"], strict=True):
        if structure is not ALIEN:
            assert "warnings" not in result
            alone = server.predict({**structure, "model": MODELS[str(structure["id"])]}).json()
            assert alone["model"] == result.pop("model")
            assert alone["results"] == [result]
    named = answer.headers["x-equipot-model"].split(", ")
    assert [each.partition(" ")[0] for each in named] == ["molecules@1", "crystals@1"]


def test_other_protocols_choose_alike(server: Running) -> None:
    atoms = [
        {"coord": [0, 0, 0, 0, 0, 3.9], "numbers": [18, 18], "pbc": [False] * 3},
        {"coord": [0, 0, 0], "numbers": [29], "cell": [0, 1.9, 1.9, 1.9, 0, 1.9, 1.9, 1.9, 0]},
        {"coord": [0, 0, 0], "numbers": [14], "pbc": [False] * 3},
    ]
    answer = server.client.post("/v1/infer", json={"atoms": atoms}).json()
    assert answer["model"] is None
    assert [each["model"]["name"] for each in answer["atoms"][:2]] == ["molecules", "crystals"]
    assert answer["atoms"][2]["error"]["code"] == "unsupported_element"


def test_what_nobody_can_answer_has_the_error_of_the_first(server: Running) -> None:
    result = server.predict({"structures": MIXED}).json()["results"][2]
    assert result["error"]["code"] == "unsupported_element"
    assert "model 'molecules' was not trained on" in result["error"]["message"]


def test_an_answer_of_one_model_is_as_if_it_had_been_named(server: Running) -> None:
    chosen = server.predict({"structures": [COPPER, SOLID]})
    named = server.predict({"structures": [COPPER, SOLID], "model": "crystals"})
    assert chosen.content == named.content
    assert chosen.headers["x-equipot-model"] == named.headers["x-equipot-model"]


def test_where_all_have_a_doubt_the_first_that_can_answers_with_it(server: Running) -> None:
    many = {"symbols": ["Ar"] * 9, "positions": [[4.0 * n, 0, 0] for n in range(9)]}
    answer = server.predict(many).json()
    assert answer["model"]["name"] == "molecules"
    assert answer["results"][0]["warnings"][0]["code"] == "out_of_domain"
    lone = server.predict({"symbols": ["Cu"], "positions": [[0, 0, 0]]}).json()
    assert lone["model"]["name"] == "crystals"
    assert "is a molecule" in lone["results"][0]["warnings"][0]["message"]


def test_a_named_model_answers_all(server: Running) -> None:
    answer = server.predict({"structures": MIXED, "model": "molecules"}).json()
    assert answer["model"]["name"] == "molecules"
    assert [each["status"] for each in answer["results"]] == ["ok", "error", "error", "ok"]


def test_files_and_tables_name_it(server: Running) -> None:
    headers = {"content-type": "chemical/x-xyz"}
    frames = server.client.post("/predict", content=XYZ, headers=headers)
    atoms = read(io.StringIO(frames.text), ":", format="extxyz")
    assert [each.info["model"] for each in atoms] == ["molecules@1", "crystals@1"]
    table = server.client.post("/predict?format=csv", content=XYZ, headers=headers)
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert [row["model"] for row in rows] == ["molecules@1", "crystals@1"]


def test_so_does_messagepack(server: Running) -> None:
    headers = {"content-type": "application/x-msgpack"}
    body = msgpack.packb({"structures": MIXED})
    answer = msgpack.unpackb(server.client.post("/predict", content=body, headers=headers).content)
    assert answer["model"] is None
    assert made_by(answer["results"]) == MODELS


@pytest.mark.parametrize("query", ["", "?fmax=0.01"])
def test_lines_name_it(server: Running, query: str) -> None:
    headers = {"content-type": "application/x-ndjson"}
    content = "".join(json.dumps(each) + "\n" for each in MIXED)
    answer = server.client.post(f"/predict{query}", content=content, headers=headers)
    begin, *results, end = map(json.loads, answer.text.splitlines())
    assert begin["model"] is None
    assert made_by(results) == MODELS
    assert (end["structures"], end["errors"]) == (4, 1)


def test_relaxations_of_several_models_go_on_side_by_side(server: Running) -> None:
    answer = server.predict({"structures": MIXED, "relax": {"fmax": 1e-3}}).json()
    assert made_by(answer["results"]) == MODELS
    for result in answer["results"]:
        assert result["status"] == "error" or result["relaxed"]["converged"]
    for name in ("molecules", "crystals"):
        assert server.metric(f'equipot_relaxation_steps_count{{model="{name}@1"}}') >= 1


def test_a_relaxation_that_is_followed_has_its_model(server: Running) -> None:
    headers = {"accept": "text/event-stream"}
    body = {**SOLID, "relax": {"fmax": 1e-3, "cell": True}}
    events = server.predict(body, headers=headers).text.split("\n\n")
    documents = [json.loads(event.partition("data: ")[2]) for event in events if event]
    assert documents[0]["model"]["name"] == documents[-1]["model"]["name"] == "crystals"


def test_who_cannot_tell_is_left_out_where_doubts_are_errors(
    server: Running, tmp_path: Path, pair_card: ModelCard
) -> None:
    refused = server.predict({**ALIEN, "on_ood": "error"})
    assert refused.json()["error"]["code"] == "unsupported_element"
    root = ModelStore(tmp_path)
    with root.publish(pair_card), root.publish(card(pair_card, "argon", ["Ar"], periodic=False)):
        pass
    with running(tmp_path, default_model="pairs,argon") as service:
        assert service.predict(DIMER).json()["model"]["name"] == "pairs"
        assert service.predict({**DIMER, "on_ood": "error"}).json()["model"]["name"] == "argon"


def test_models_says_which_are_defaults_in_which_order(server: Running, store: Path) -> None:
    listed = server.client.get("/models").json()
    assert listed["defaults"] == ["molecules@1", "crystals@1"]
    assert all(model["default"] for model in listed["models"])
    with serving(store, default_model="crystals,molecules@1") as other:
        listed = other.client.get("/models").json()
        assert listed["defaults"] == ["crystals@1", "molecules@1"]
        assert [model["name"] for model in listed["models"]] == ["crystals", "molecules"]
        assert other.predict(DIMER).json()["model"]["name"] == "molecules"


def test_a_list_with_a_model_that_is_not_served_does_not_start(
    store: Path, tmp_path: Path, pair_card: ModelCard
) -> None:
    models = shutil.copytree(store, tmp_path / "models")
    with serving(models, default_model="molecules,copper", log_level="error") as service:
        answer = service.client.get("/readyz")
        assert answer.status_code == 503
        message = answer.json()["error"]["message"]
        assert "default model 'copper' (EQUIPOT_DEFAULT_MODEL) is not served" in message
        assert service.predict({**DIMER, "model": "molecules"}).status_code == 503
        with ModelStore(models).publish(card(pair_card, "copper", ["Cu"])):
            pass
        reload(service)
        assert service.predict({"structures": [DIMER, COPPER]}).status_code == 200
        shutil.rmtree(models / "copper")
        reload(service)
        assert service.predict({**DIMER, "model": "molecules"}).status_code == 200
        unnamed = service.predict(DIMER)
        assert unnamed.status_code == 404
        assert "the default is not there: no model 'copper'" in unnamed.json()["error"]["message"]


def reload(service: Running) -> None:
    models, loop = service.server.service.models, service.server.loop
    asyncio.run_coroutine_threadsafe(models.reload(), loop).result(60)


def job_results(server: Running, job: str, query: str = "") -> str:
    return server.client.get(f"/jobs/{job}/results?stream=true{query}").text


def test_a_job_has_a_model_for_each_structure(server: Running) -> None:
    job = server.client.post("/jobs", json={"structures": MIXED, "relax": {"fmax": 1e-3}}).json()
    assert job["model"] is None
    assert [each["name"] for each in job["models"]] == ["molecules", "crystals"]
    documents = [json.loads(line) for line in job_results(server, job["id"]).splitlines()]
    results = [result for document in documents for result in document["results"]]
    assert [each["id"] for each in results] == ["argon", "copper", "alien", "solid"]
    assert made_by(results) == MODELS
    table = csv.DictReader(io.StringIO(job_results(server, job["id"], "&format=csv"), newline=""))
    assert [row["model"] for row in table][:2] == ["molecules@1", "crystals@1"]
    lines = [
        json.loads(line) for line in job_results(server, job["id"], "&format=lines").splitlines()
    ]
    assert lines[0]["model"] is None
    assert made_by(lines[1:-1]) == MODELS
    page = server.client.get(f"/jobs/{job['id']}/results?offset=3")
    assert made_by(page.json()["results"]) == {"solid": "crystals"}
    assert page.headers["x-equipot-model"].count("@") == 2


def test_a_job_goes_on_with_its_models_whatever_the_defaults_are_then(
    store: Path, tmp_path: Path
) -> None:
    molecules = [dict(cluster(number), id=f"cluster {number}") for number in range(2)]
    body = {"structures": [SOLID, *molecules, COPPER], "relax": {"fmax": 1e-300, "steps": 1000}}
    with served(store, tmp_path, default_model="molecules,crystals") as first:
        job = first.client.post("/jobs", json=body).json()["id"]
        while not any(path.name.isdecimal() for path in (tmp_path / job / "work").iterdir()):
            assert first.client.get(f"/jobs/{job}").json()["state"] in ("queued", "running")
        first.kill()
    with served(store, tmp_path, default_model="crystals") as second:
        lines = second.client.get(f"/jobs/{job}/results?stream=true").text.splitlines()
    results = [result for line in lines for result in json.loads(line)["results"]]
    assert any("goes on: " in line for line in second.log)
    assert list(made_by(results).values()) == ["crystals", "molecules", "molecules", "crystals"]
    assert {each["relaxed"]["reason"] for each in results[1:3]} == {"steps"}


def test_the_client_reads_it(server: Running) -> None:
    with Client(f"http://127.0.0.1:{server.port}") as client:
        results = client.predict(MIXED)
        assert results.model is None
        assert {each.id: each.model.name for each in results.ok if each.model} == MODELS
        streamed = client.stream(MIXED)
        assert {each.id: each.model.name for each in streamed if each.ok and each.model} == MODELS
        assert results.to_dataframe()["model"].tolist()[:2] == ["molecules@1", "crystals@1"]
        job = client.jobs.wait(client.jobs.submit(MIXED))
        assert job.model is None
        assert [each.name for each in job.models] == ["molecules", "crystals"]
        of_job = list(client.jobs.results(job))
        assert {each.id: each.model.name for each in of_job if each.ok and each.model} == MODELS
        (solid,) = client.predict(SOLID)
        assert solid.model is not None
        assert solid.model.reference == "crystals@1"
