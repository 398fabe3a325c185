"""`/tasks/md`: dynamics over HTTP, by the client and for language models, and how they go on."""

from typing import Any

import numpy as np
import pytest
from ase import units
from ase.build import molecule

from app.integrations.mcp.tasks import brief
from equipot import Client
from tests.api.server import WATER, Running
from tests.api.test_schema import check

SHORT = {"steps": 40, "timestep_fs": 1.0, "save_every": 20}


def test_replicas_of_several_molecules(bundled: Running) -> None:
    document = bundled.client.get("/openapi.json").json()
    silicon = {"symbols": ["Si"], "positions": [[0, 0, 0]]}
    methane = {
        "symbols": molecule("CH4").get_chemical_symbols(),
        "positions": molecule("CH4").positions.tolist(),
    }
    options = {**SHORT, "replicas": 2, "temperatures_K": [200, 400], "velocities": True}
    body = {"structures": [WATER, silicon, methane], "options": options}
    answer = bundled.client.post("/tasks/md", json=body)
    assert answer.status_code == 200
    check(document, "/tasks/md", "post", answer)
    water, failed, other = answer.json()["results"]
    assert failed["error"]["code"] == "unsupported_element"
    assert "relaxed" not in water  # nothing was
    assert other["value"]["evaluations"] == 4 * 41
    replicas = water["value"]["replicas"]
    assert [r["temperature_K"] for r in replicas] == [200, 200, 400, 400]
    for replica in replicas:
        assert replica["reason"] == "completed"
        assert replica["times_fs"] == [0, 20, 40]
        assert replica["trajectory_extxyz"].count("Properties=") == 3
        assert replica["potential_energies_eV"][0] == pytest.approx(water["energy"], abs=1e-4)
        masses = np.array([15.999, 1.008, 1.008])
        speeds = np.array(replica["velocities_A_per_fs"]) / units.fs
        kinetic = 0.5 * np.einsum("n,kna,kna->k", masses, speeds, speeds)
        assert replica["kinetic_energies_eV"] == pytest.approx(kinetic, rel=1e-4)


def test_a_file_has_its_options_in_the_query(bundled: Running) -> None:
    lines = [
        f"{s} {x} {y} {z}"
        for s, (x, y, z) in zip(WATER["symbols"], WATER["positions"], strict=True)
    ]
    text = "\n".join(["3", "Properties=species:S:1:pos:R:3", *lines, ""])
    headers = {"content-type": "chemical/x-xyz"}
    for temperatures, count in (("300", 1), ("300,350", 2)):
        query = f"steps=2&temperatures_K={temperatures}&ensemble=nve"
        answer = bundled.client.post(f"/tasks/md?{query}", content=text, headers=headers)
        (result,) = answer.json()["results"]
        assert len(result["value"]["replicas"]) == count


def test_the_client_goes_on_from_last_states(bundled: Running) -> None:
    with Client(f"http://127.0.0.1:{bundled.port}") as client:
        asked: dict[str, Any] = {"timestep_fs": 1.0, "random_seed": 5, "temperatures_K": 250}
        (whole,) = client.md(molecule("H2O"), steps=30, **asked)
        (half,) = client.md(molecule("H2O"), steps=15, **asked)
        last = [replica["last"] for replica in half.value["replicas"]]
        (rest,) = client.md(molecule("H2O"), steps=15, timestep_fs=1.0, restart=last)
        (bad,) = client.md(molecule("CH4"), steps=15, restart=last)
    once, again = (r.value["replicas"][0]["last"] for r in (whole, rest))
    assert again["step"] == 30
    assert again["positions_A"] == pytest.approx(np.array(once["positions_A"]), abs=1e-4)
    assert "restart.0.numbers: is a state of 3 other atoms than the 5" in str(bad.error)


def test_limits_are_named(bundled: Running) -> None:
    for options, status, told in (
        ({"steps": 1_000_000}, 413, "at most 100000 are allowed (max_md_evaluations)"),
        ({"ensemble": "nph"}, 422, "options.ensemble: Input should be 'nvt', 'nve' or 'npt'"),
        ({"max_steps": 5000}, 422, "max_steps: 5000; at most 1000 are allowed"),
    ):
        answer = bundled.client.post("/tasks/md", json={**WATER, "options": options})
        assert answer.status_code == status
        assert told in answer.json()["error"]["message"]


def test_atoms_stay_out_of_a_conversation() -> None:
    found = {
        "replicas": [
            {"trajectory_extxyz": "1\n\nH 0 0 0\n", "last": {"positions_A": [[0.0] * 3] * 9}}
        ]
    }
    assert brief(found) == {"replicas": [{"last": {}}]}


def test_states_are_those_of_one_structure(bundled: Running) -> None:
    body: dict[str, Any] = {"structures": [WATER], "options": SHORT}
    first = bundled.client.post("/tasks/md", json=body).json()["results"][0]["value"]
    options = {**SHORT, "restart": [first["replicas"][0]["last"]]}
    ask = {"structures": [WATER, WATER], "options": options}
    told = "restart: is of one structure, and several are asked for"
    answer = bundled.client.post("/tasks/md", json=ask)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith(told)
    answer = bundled.client.post(
        "/tasks/md", json={"structures": [WATER], "options": {"restart": [1]}}
    )
    assert "restart.0: must be an object with the fields random_seed, r" in answer.text
    with Client(f"http://127.0.0.1:{bundled.port}") as client:
        one, other = sorted(
            client.stream([WATER, WATER], task="md", **options), key=lambda r: r.index
        )
    assert one.value is not None
    assert str(other.error).startswith(told)
