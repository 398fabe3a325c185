import io
from typing import Any

import ase.io
import httpx
import numpy as np
import pytest
from ase import Atoms

from app.atoms.neighbors import build_graph
from app.atoms.prediction import split
from app.backends.pair import PairBackend
from app.protocol.items import parse_structure
from app.protocol.schemas import UNITS
from app.store.card import ModelCard
from tests.api.server import ARGON, CRYSTAL, WATER, Running

XYZ = {"content-type": "chemical/x-xyz"}
FRAME = "2\n\nAr 0 0 0\nAr 0 0 3.9\n"


def test_answer_is_the_backends(service: Running, pair_card: ModelCard) -> None:
    response = service.predict(
        {"structures": [WATER, CRYSTAL], "properties": ["energy", "forces", "stress", "energies"]}
    )
    assert response.status_code == 200
    body = response.json()
    assert body["units"] == UNITS
    assert body["model"]["name"] == "pairs"
    assert body["model"]["version"] == 2
    assert response.headers["x-equipot-model"] == f"pairs@2 {body['model']['digest']}"
    for sent, result in zip((WATER, CRYSTAL), body["results"], strict=True):
        graph = build_graph(parse_structure(sent)[0], pair_card.cutoff)
        (expected,) = split(PairBackend(pair_card)(graph), graph)
        assert result["status"] == "ok"
        assert result["energy"] == pytest.approx(expected.energy, abs=1e-12)
        np.testing.assert_allclose(result["forces"], expected.forces, atol=1e-12)
        np.testing.assert_allclose(result["energies"], expected.energies, atol=1e-12)
        if expected.stress is None:
            assert result["stress"] is None
        else:
            np.testing.assert_allclose(result["stress"], expected.stress, atol=1e-12)


def test_one_structure_without_a_list(service: Running) -> None:
    (result,) = service.predict({**ARGON, "id": "pair", "model": "pairs@1"}).json()["results"]
    assert result["id"] == "pair"
    assert set(result) == {"id", "status", "energy", "forces"}


def test_order_and_ids_are_kept(service: Running) -> None:
    structures = [
        {"numbers": [18, 18], "positions": [[0, 0, 0], [0, 0, 3.5 + 0.1 * i]], "id": str(i)}
        for i in range(20)
    ]
    results = service.predict({"structures": structures}).json()["results"]
    assert [r["id"] for r in results] == [s["id"] for s in structures]
    assert len({r["energy"] for r in results}) == 20


def test_only_what_was_asked(service: Running) -> None:
    (result,) = service.predict({**CRYSTAL, "properties": ["energy"]}).json()["results"]
    assert set(result) == {"id", "status", "energy"}


def test_one_bad_among_good(service: Running) -> None:
    bad = {"symbols": ["Ar"], "positions": [[0, 0, 0], [1, 1, 1]], "id": "bad"}
    response = service.predict({"structures": [WATER, bad, ARGON]})
    assert response.status_code == 200
    assert [r["status"] for r in response.json()["results"]] == ["ok", "error", "ok"]
    assert response.json()["results"][1]["id"] == "bad"
    assert response.json()["results"][1]["error"]["code"] == "invalid_structure"


def test_relax(service: Running) -> None:
    relax = {"fmax": 0.0005, "steps": 100, "optimizer": "lbfgs"}
    (single,) = service.predict(ARGON).json()["results"]
    (result,) = service.predict({**ARGON, "relax": relax}).json()["results"]
    assert result["energy"] == single["energy"]
    relaxed = result["relaxed"]
    assert relaxed["converged"]
    assert relaxed["reason"] == "converged"
    assert "0.0005" in relaxed["criterion"]
    assert relaxed["fmax"] < 0.0005
    distance = np.linalg.norm(np.subtract(*relaxed["positions"]))
    assert distance == pytest.approx(2 ** (1 / 6) * 3.4, abs=0.01)
    again = service.predict({"numbers": [18, 18], "positions": relaxed["positions"]}).json()[
        "results"
    ][0]
    assert again["energy"] == pytest.approx(relaxed["energy"], abs=1e-12)
    assert service.metric('equipot_relaxation_steps_count{model="pairs@2"}') >= 1


def test_not_converging_is_a_result(service: Running) -> None:
    (result,) = service.predict({**ARGON, "relax": {"fmax": 1e-6, "steps": 1}}).json()["results"]
    assert result["status"] == "ok"
    assert (result["relaxed"]["converged"], result["relaxed"]["reason"]) == (False, "steps")


def test_fixed_atoms_do_not_move(service: Running) -> None:
    relax = {"fmax": 0.0005, "optimizer": "lbfgs"}
    (result,) = service.predict({**ARGON, "fixed": [1], "relax": relax}).json()["results"]
    assert result["relaxed"]["converged"]
    assert result["relaxed"]["positions"][1] == ARGON["positions"][1]
    assert result["relaxed"]["positions"][0] != ARGON["positions"][0]


def test_relax_along_one_axis_under_pressure(service: Running) -> None:
    relax = {
        "fmax": 0.001,
        "cell": "full",
        "fixed_axes": ["a", "b"],
        "pressure": 0.002,
        "steps": 500,
    }
    (result,) = service.predict({**CRYSTAL, "relax": relax}).json()["results"]
    relaxed = result["relaxed"]
    assert relaxed["converged"]
    np.testing.assert_allclose(relaxed["cell"][:2], CRYSTAL["cell"][:2], atol=1e-12)
    normal = np.cross(*CRYSTAL["cell"][:2])
    normal /= np.linalg.norm(normal)
    np.testing.assert_allclose(np.array(relaxed["stress"]) @ normal, -0.002 * normal, atol=1e-4)


def test_relax_cell(service: Running) -> None:
    relax = {"fmax": 0.001, "cell": True, "steps": 500}
    (result,) = service.predict({**CRYSTAL, "relax": relax}).json()["results"]
    relaxed = result["relaxed"]
    assert relaxed["converged"]
    assert abs(np.linalg.det(relaxed["cell"])) < abs(np.linalg.det(CRYSTAL["cell"]))
    assert np.abs(relaxed["stress"]).max() < np.abs(result["stress"]).max()


def read(response: httpx.Response) -> list[Atoms]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("chemical/x-xyz")
    frames: list[Atoms] = ase.io.read(io.StringIO(response.text), ":", format="extxyz")
    return frames


class TestXyz:
    def post(self, service: Running, text: str, **query: Any) -> httpx.Response:
        return service.client.post("/predict", content=text, headers=XYZ, params=query)

    def test_ase_reads_the_answer(self, service: Running) -> None:
        cell = 'Lattice="0 2.7 2.7 2.7 0 2.7 2.7 2.7 0" Properties=species:S:1:pos:R:3 name=solid'
        frames = read(self.post(service, FRAME + f"1\n{cell}\nAr 0 0 0\n"))
        expected = service.predict({"structures": [ARGON, CRYSTAL]}).json()["results"]
        for atoms, result in zip(frames, expected, strict=True):
            assert atoms.get_potential_energy() == pytest.approx(result["energy"], abs=1e-7)
            np.testing.assert_allclose(atoms.get_forces(), result["forces"], atol=1e-7)
            assert atoms.info["model"] == "pairs@2"
        np.testing.assert_allclose(
            frames[1].get_stress(voigt=False), expected[1]["stress"], atol=1e-7
        )
        assert frames[1].info["name"] == "solid"

    def test_relaxed_frame_says_so(self, service: Running) -> None:
        (atoms,) = read(self.post(service, FRAME, fmax="0.001", optimizer="lbfgs"))
        assert atoms.info["relaxed"]
        assert atoms.info["converged"]
        assert atoms.info["steps"] > 0
        assert atoms.get_distance(0, 1) == pytest.approx(2 ** (1 / 6) * 3.4, abs=0.02)
        assert atoms.get_potential_energy() < atoms.info["initial_energy"]

    def test_json_on_request(self, service: Running) -> None:
        headers = {**XYZ, "accept": "application/json"}
        response = service.client.post(
            "/predict", content=FRAME, headers=headers, params={"properties": "energy"}
        )
        assert response.headers["content-type"] == "application/json"
        assert set(response.json()["results"][0]) == {"id", "status", "energy"}

    def test_xyz_for_json_on_request(self, service: Running) -> None:
        body = {**ARGON, "id": "pair"}
        (atoms,) = read(
            service.predict(
                body, headers={"accept": "chemical/x-xyz;q=0.9, application/json;q=0.1"}
            )
        )
        assert len(atoms) == 2
        assert atoms.info["id"] == "pair"

    def test_older_results_are_replaced(self, service: Running) -> None:
        (atoms,) = read(self.post(service, FRAME.replace("\n\n", "\nid=a energy=5.0 note=kept\n")))
        assert atoms.get_potential_energy() < 0
        assert (atoms.info["id"], atoms.info["note"]) == ("a", "kept")

    def test_plain_text_is_xyz(self, service: Running) -> None:
        response = service.client.post(
            "/predict", content=FRAME, headers={"content-type": "text/plain; charset=utf-8"}
        )
        assert len(read(response)) == 1

    def test_failed_frames_are_told(self, service: Running) -> None:
        frames = read(self.post(service, FRAME + "1\n\nXe 0 0 0\n" + FRAME))
        assert [atoms.info.get("status") for atoms in frames] == [None, "error", None]
        assert "Xe" in frames[1].info["message"]
        assert frames[1].info["code"] == "unsupported_element"

    @pytest.mark.parametrize(
        ("query", "told"),
        [
            ({"propertis": "energy"}, "propertis"),
            ({"properties": "energy,dipole"}, "dipole"),
            ({"fmax": "much"}, "fmax"),
            ({"fmax": "-1"}, "fmax"),
            ({"relax": "perhaps"}, "relax"),
            ({"optimizer": "bfgs"}, "optimizer"),
            ({"steps": "1000000"}, "steps"),
        ],
    )
    def test_bad_query(self, service: Running, query: dict[str, str], told: str) -> None:
        response = self.post(service, FRAME, **query)
        assert response.status_code == 422
        assert told in response.json()["error"]["message"]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "two\n\nAr 0 0 0\n",
            "2\n\nAr 0 0 0\n",
            "1\n\nAr 0 0 0\nAr 1 1 1\n",
            "1\n\nAr zero 0 0\n",
            "1\nProperties=species:S:1:pos:R:3:forces:R:3\nAr 0 0 0\n",
        ],
    )
    def test_malformed(self, service: Running, text: str) -> None:
        response = self.post(service, text)
        assert response.status_code == 422
        assert response.json()["error"]["message"]

    def test_not_text(self, service: Running) -> None:
        response = service.client.post("/predict", content=b"\xff\xfe\x00", headers=XYZ)
        assert response.status_code == 422
        assert "UTF-8" in response.json()["error"]["message"]


def test_query_with_json_is_refused(service: Running) -> None:
    response = service.predict(ARGON, params={"fmax": "0.1"})
    assert response.status_code == 422
    assert "fmax" in response.json()["error"]["message"]


def test_a_cell_that_is_torn_says_what_pulled_it(service: Running) -> None:
    relax = {"cell": True, "pressure": -0.005}
    (result,) = service.predict({"structures": [CRYSTAL], "relax": relax}).json()["results"]
    assert result["relaxed"]["converged"] is False
    told = (
        "under the tension that was asked for (pressure -0.005 eV/Å³, -0.801 GPa): it may be more"
    )
    assert told in result["relaxed"]["reason"]


def test_plots_of_a_model_are_those_of_its_version(bundled: Running) -> None:
    plots = bundled.client.get("/models/organic-xtb").json()["plots"]
    assert plots == ["parity.png", "calibration.png"]
    for name in plots:
        answer = bundled.client.get(f"/models/organic-xtb/plots/{name}")
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(b"\x89PNG")
    for name in ("learning_curve.png", "card.json", "..%2Fcard.json"):
        answer = bundled.client.get(f"/models/organic-xtb/plots/{name}")
        assert answer.status_code == 404
    answer = bundled.client.get("/models/lennard-jones/plots/parity.png")
    assert "lennard-jones@1 has no plot 'parity.png'; it has none" in answer.text
