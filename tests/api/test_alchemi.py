"""Batched geometry relaxation in the words of another service, answered as `/predict` answers."""

from typing import Any

import httpx
import numpy as np
import pytest

from app.relax.options import GPA
from tests.api.server import ARGON, CRYSTAL, WATER, Gated, Running, running

DIMER = {"coord": [0.0, 0, 0, 0, 0, 3.9], "numbers": [18, 18], "pbc": [False] * 3}
BULK = {"coord": [0.0, 0.0, 0.0], "numbers": [18], "cell": np.ravel(CRYSTAL["cell"]).tolist()}
STRAINED = {**BULK, "cell": [0, 2.7, 2.7, 2.6, 0, 2.7, 2.8, 2.7, 0]}


def infer(server: Running, *atoms: Any, **options: Any) -> httpx.Response:
    return server.client.post("/v1/infer", json={"atoms": list(atoms), **options})


def test_numbers_are_those_of_predict(service: Running) -> None:
    got = infer(service, {**DIMER, "structure_id": "dimer", "charge": 0}, opttol=0.001, info="mine")
    relax = {"fmax": 0.001, "optimizer": "lbfgs"}
    answer = service.predict({**ARGON, "relax": relax}).json()
    wanted = answer["results"][0]["relaxed"]
    assert got.json() == {
        "atoms": [
            {
                **DIMER,
                "structure_id": "dimer",
                "charge": 0,
                "coord": np.ravel(wanted["positions"]).tolist(),
                "converged": True,
                "optimizer_nsteps": wanted["steps"],
                "energy": wanted["energy"],
                "forces": np.ravel(wanted["forces"]).tolist(),
                "stress": None,
                "charges": None,
                "reason": "converged",
            }
        ],
        "info": "mine",
        "status": "Success",
        "model": answer["model"],
    }
    assert got.headers["X-Equipot-Model"].startswith("pairs@2 ")


def test_cells_relax_to_a_pressure_in_kilobars(service: Running) -> None:
    fixed = infer(service, STRAINED).json()["atoms"][0]
    assert fixed["optimizer_nsteps"] == 0
    assert fixed["cell"] == STRAINED["cell"]
    largest = [np.abs(fixed["stress"]).max() / GPA * 10]
    for given, limit in ((None, 0.5), (0.05, 0.05), (0.0005, 0.0005)):
        got = infer(service, STRAINED, cellopt=True, opttol_pressure=given).json()["atoms"][0]
        assert got["converged"]
        largest.append(np.abs(got["stress"]).max() / GPA * 10)
        assert largest[-1] < limit
        assert abs(np.linalg.det(np.reshape(got["cell"], (3, 3)))) == pytest.approx(37.5, abs=1.5)
    assert largest == sorted(largest, reverse=True)
    options = {"fmax": 0.005, "cell": True, "smax": 0.0005 * 0.1 * GPA, "optimizer": "lbfgs"}
    cell = np.reshape(STRAINED["cell"], (3, 3)).tolist()
    wanted = service.predict({**CRYSTAL, "cell": cell, "relax": options}).json()["results"][0]
    assert got["cell"] == np.ravel(wanted["relaxed"]["cell"]).tolist()


def test_atoms_that_are_not_active_stay(service: Running) -> None:
    (got,) = infer(service, {**DIMER, "active_mask": [False, True]}, opttol=1e-4).json()["atoms"]
    assert got["coord"][:3] == [0, 0, 0]
    assert 3.7 < got["coord"][5] < 3.9
    assert got["active_mask"] == [False, True]
    assert np.abs(got["forces"]).max() < 1e-4


def test_the_model_is_one_of_the_service(service: Running) -> None:
    got = service.client.post("/v1/infer?model=pairs@1", json={"atoms": [DIMER]})
    assert got.json()["model"]["version"] == 1
    missing = service.client.post("/v1/infer?model=none", json={"atoms": [DIMER]})
    assert missing.status_code == 404
    assert missing.json()["detail"] == missing.json()["error"]["message"]
    unknown = service.client.post("/v1/infer?steps=3", json={"atoms": [DIMER]})
    assert unknown.json()["detail"] == "query parameter 'steps' is unknown; known are model"


def test_steps_are_those_that_the_service_allows(pair_store: Any) -> None:
    with running(pair_store, max_relax_steps=2) as server:
        got = infer(server, {**DIMER, "coord": [0, 0, 0, 0, 0, 4.5]}, opttol=1e-5).json()
    assert got["status"] == "Success"
    (atoms,) = got["atoms"]
    assert (atoms["converged"], atoms["optimizer_nsteps"], atoms["reason"]) == (False, 2, "steps")


def test_one_that_fails_costs_the_others_nothing(gated: tuple[Running, Gated]) -> None:
    server, backend = gated
    backend.culprits = {7.0}
    broken = {**DIMER, "coord": [0, 0, 7.0, 0, 0, 11.0], "structure_id": "broken"}
    got = infer(server, DIMER, broken, {"numbers": [18], "colour": 1, "structure_id": "red"})
    assert got.status_code == 200
    assert got.json()["status"] == "Partial"
    good, failed, unread = got.json()["atoms"]
    assert good["converged"]
    assert "error" not in good
    for bad in (failed, unread):
        assert (bad["converged"], bad["optimizer_nsteps"], bad["energy"]) == (False, 0, None)
        assert (bad["forces"], bad["stress"], bad["charges"]) == (None, None, None)
    assert (failed["structure_id"], failed["coord"]) == ("broken", broken["coord"])
    assert failed["error"]["code"] == "model_failed"
    assert unread["error"]["message"].startswith("colour: unknown field; known are coord, numbers")
    assert "numbers" not in unread
    assert unread["structure_id"] == "red"


BAD = [
    ({**DIMER, "pbc": [True] * 3}, "cell: is missing"),
    ({"coord": DIMER["coord"], "numbers": [18, 18]}, "as it does where it is not stated"),
    ({**DIMER, "coord": [0.0] * 5}, "coord: 5 numbers; 6 are expected"),
    ({**DIMER, "active_mask": [True]}, "active_mask: 1 values; there are 2 atoms"),
    ({**DIMER, "numbers": [18, 14]}, "atom 1 is Si"),
    ({**DIMER, "charge": 1}, "charge"),
    ({**DIMER, "cell": [1.0] * 3}, "cell: "),
    ({**DIMER, "mult": 3}, "multiplicity"),
    ("dimer", "must be an object with the fields coord"),
]


@pytest.mark.parametrize(("atoms", "message"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_with_a_structure(service: Running, atoms: Any, message: str) -> None:
    got = infer(service, atoms)
    assert got.status_code == 422
    assert message in got.json()["detail"]
    assert got.json()["status"] == "Failed"
    assert got.json()["atoms"][0]["error"] == got.json()["error"]


def test_a_cell_of_a_molecule_does_not_relax(service: Running) -> None:
    got = infer(service, DIMER, STRAINED, cellopt=True).json()
    assert got["status"] == "Partial"
    assert "periodic in all three directions" in got["atoms"][0]["error"]["message"]
    assert got["atoms"][1]["converged"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opttol_pressure": 0.5}, "opttol_pressure: the cells are fixed"),
        ({"opttol": 0}, "opttol: "),
        ({"cellopt": "yes"}, "cellopt: "),
        ({"max_steps": 10}, "max_steps: unknown field; known are atoms, opttol"),
        ({"atoms": []}, "atoms: "),
        ({"atoms": [DIMER] * 21}, "more than 20 structures"),
    ],
)
def test_what_is_wrong_with_a_request(
    service: Running, options: dict[str, Any], message: str
) -> None:
    got = service.client.post("/v1/infer", json={"atoms": [DIMER], **options})
    assert got.status_code == (413 if message.startswith("more") else 422)
    assert message in got.json()["detail"]
    assert "atoms" not in got.json()


def test_other_bodies_are_refused(service: Running) -> None:
    got = service.client.post("/v1/infer", content=b"x", headers={"Content-Type": "text/plain"})
    assert got.status_code == 415
    assert got.json()["error"]["code"] == "unsupported_media_type"
    assert service.client.post("/v1/infer", content=b"{").status_code == 422


def test_doubts_are_told(bundled: Running) -> None:
    coord = np.ravel(WATER["positions"]).tolist()
    stretched = {"numbers": [8, 1, 1], "coord": coord}
    (got,) = infer(bundled, {**stretched, "pbc": [False] * 3}).json()["atoms"]
    assert got["converged"]
    assert {warning["code"] for warning in got["warnings"]} == {"out_of_domain"}


def test_it_says_how_it_is(pair_store: Any) -> None:
    with running(pair_store, max_atoms=7) as server:
        get = server.client.get
        assert get("/v1/health/live").json() == {"status": "live"}
        assert get("/v1/health/ready").json() == {"status": "ready"}
        infer(server, DIMER, {"numbers": []})
        infer(server, colour="red")
        assert get("/v1/status").json() == {
            "requests_received": 2,
            "requests_completed": 2,
            "requests_in_progress": 0,
            "tasks_received": 2,
            "tasks_completed": 2,
            "queue_size_tasks": 0,
            "queue_size_atoms": 0,
            "max_system_size": 7,
        }
        line = 'equipot_requests_total{method="POST",route="/v1/infer",status="200"} 1.0'
        assert line in get("/v1/metrics").text.splitlines()
    with running(pair_store, wait=False, models="none") as server:
        server.server.service.models.loaded.wait(60)
        refused = server.client.get("/v1/health/ready")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert server.client.get("/v2/health/ready").json() == {"ready": False, "live": False}
