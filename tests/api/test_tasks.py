"""`/tasks`: whole tasks over HTTP."""

import json
from typing import Any

import ormsgpack
import pytest

from app.tasks import TASKS
from tests.api.server import WATER, Running
from tests.api.test_schema import check

XYZ = "3\nProperties=species:S:1:pos:R:3 id=water\nO 0 0 0.1\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n"
SILICON = {"symbols": ["Si"], "positions": [[0, 0, 0]]}


@pytest.fixture(scope="module")
def document(bundled: Running) -> dict[str, Any]:
    schema: dict[str, Any] = bundled.client.get("/openapi.json").json()
    return schema


def test_they_are_listed_with_their_schemas(bundled: Running, document: dict[str, Any]) -> None:
    answer = bundled.client.get("/tasks")
    check(document, "/tasks", "get", answer)
    listed = {task["name"]: task for task in answer.json()["tasks"]}
    assert set(listed) == set(TASKS)
    assert listed["thermo"]["path"] == "/tasks/thermo"
    assert "temperature_K" in listed["thermo"]["options"]["properties"]
    assert "gibbs_energy_eV" in listed["thermo"]["value"]["properties"]


def test_one_structure_that_fails_costs_only_itself(
    bundled: Running, document: dict[str, Any]
) -> None:
    held = {**WATER, "fixed": [0], "id": "held"}
    body = {"structures": [WATER, SILICON, held], "options": {"temperature_K": 400}}
    answer = bundled.client.post("/tasks/thermo", json=body)
    assert answer.status_code == 200
    check(document, "/tasks/thermo", "post", answer)
    free, failed, bound = answer.json()["results"]
    assert failed["error"]["code"] == "unsupported_element"
    assert free["value"]["treatment"] == "ideal_gas"
    assert free["value"]["symmetry_number"] == 2
    assert bound["value"]["treatment"] == "harmonic"
    assert bound["id"] == "held"
    for result in (free, bound):
        value = result["value"]
        assert value["temperature_K"] == 400
        assert result["relaxed"]["converged"]
        assert value["energy_eV"] == result["relaxed"]["energy"]
        expected = value["enthalpy_eV"] - 400 * value["entropy_eV_per_K"]
        assert value["gibbs_energy_eV"] == pytest.approx(expected)
    assert (
        bundled.metric('equipot_relaxations_total{model="organic-xtb@3",reason="converged"}') >= 2
    )


@pytest.mark.parametrize("atoms", ["0,1", "[0,1]"])
def test_several_values_of_a_query_are_separated_by_commas(bundled: Running, atoms: str) -> None:
    query = f"atoms={atoms}&range_A=0.9,1.1&points=3"
    headers = {"content-type": "chemical/x-xyz"}
    answer = bundled.client.post(f"/tasks/scan?{query}", content=XYZ, headers=headers)
    (result,) = answer.json()["results"]
    assert len(result["value"]["energies_eV"]) == 3


@pytest.mark.parametrize(
    ("content", "kind"),
    [(XYZ, "chemical/x-xyz"), (json.dumps(WATER) + "\n", "application/x-ndjson")],
)
def test_files_and_lines_have_options_in_the_query(
    bundled: Running, content: str, kind: str
) -> None:
    headers = {"content-type": kind}
    query = "temperature_K=400&normal_modes=true"
    answer = bundled.client.post(f"/tasks/thermo?{query}", content=content, headers=headers)
    assert answer.status_code == 200
    if kind == "chemical/x-xyz":
        (result,) = answer.json()["results"]
    else:
        lines = {line["status"]: line for line in map(json.loads, answer.text.splitlines())}
        assert lines["end"]["errors"] == 0
        result = lines["ok"]
    assert result["value"]["temperature_K"] == 400
    assert len(result["value"]["normal_modes"]) == 3


def test_after_an_explosion_nobody_is_told_to_take_more_steps(bundled: Running) -> None:
    close = {"numbers": [18, 18], "positions": [[0, 0, 0], [0, 0, 0.9]]}
    body = {"structures": [close], "model": "lennard-jones"}
    (result,) = bundled.client.post("/tasks/thermo", json=body).json()["results"]
    assert result["error"]["code"] == "not_converged"
    message = result["error"]["message"]
    assert "exploded: a force of" in message
    assert message.endswith(
        "more steps do not help: begin with a better geometry, or ask another model"
    )
    assert "max_steps" not in message


def test_a_molecule_by_its_smiles(bundled: Running) -> None:
    pytest.importorskip("rdkit")
    answer = bundled.client.post("/tasks/thermo", json={"structures": [{"smiles": "C"}]})
    (result,) = answer.json()["results"]
    assert result["value"]["symmetry_number"] == 12
    assert result["structure"]["symbols"] == ["C", "H", "H", "H", "H"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"temperature": 300}, "options.temperature: unknown field; known are"),
        (
            {"temperature_K": -1},
            "options.temperature_K: Input should be greater than or equal to 1, not -1",
        ),
        ({"treatment": "gas"}, "options.treatment: Input should be 'auto', 'ideal_gas' or"),
        ({"max_steps": 100_000}, "max_steps: 100000; at most 1000 are allowed"),
        ({"max_steps": 1}, "the relaxation ended after 1 steps without a minimum"),
        ({"temperature_K": float("nan")}, "options.temperature_K: Input should be a finite number"),
    ],
)
def test_bad_options_are_named(bundled: Running, options: dict[str, Any], told: str) -> None:
    body = {"structures": [WATER], "options": options}
    headers = {"Content-Type": "application/x-msgpack", "Accept": "application/json"}
    answer = bundled.client.post("/tasks/thermo", content=ormsgpack.packb(body), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith(told)


def test_one_is_described_by_its_name(bundled: Running) -> None:
    listed = {each["name"]: each for each in bundled.client.get("/tasks").json()["tasks"]}
    assert bundled.client.get("/tasks/energies-of").json() == listed["energies-of"]
    unknown = bundled.client.get("/tasks/none")
    assert unknown.status_code == 404
    assert unknown.json()["error"]["message"] == f"no task 'none'; there are {', '.join(listed)}"


def test_what_a_task_does_not_take(bundled: Running) -> None:
    client = bundled.client
    assert client.post("/tasks/none", json=WATER).json()["error"]["code"] == "unknown_task"
    answer = client.post("/tasks/thermo", json={"structures": [WATER], "properties": ["energy"]})
    assert answer.json()["error"]["message"].startswith("properties: unknown field")
    answer = client.post("/tasks/thermo?format=xyz", json=WATER)
    assert "xyz does not hold what thermo finds" in answer.json()["error"]["message"]
