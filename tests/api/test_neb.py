"""`/tasks/neb`: paths over HTTP, by the client and on the command line."""

import json
from pathlib import Path
from typing import Any

import ase.io
import pytest
from ase import Atoms
from ase.build import molecule

from app.cli.main import main
from equipot import Client, InvalidRequest
from tests.api.server import Running
from tests.api.test_schema import check
from tests.paths import MODEL_STORE

AMMONIA = molecule("NH3")
INVERTED = AMMONIA.copy()
INVERTED.positions[0, 2] = 2 * AMMONIA.positions[1, 2] - AMMONIA.positions[0, 2]


def fields(atoms: Atoms) -> dict[str, Any]:
    return {"symbols": atoms.get_chemical_symbols(), "positions": atoms.positions.tolist()}


def test_a_path_over_http(bundled: Running) -> None:
    document = bundled.client.get("/openapi.json").json()
    options = {"ends": [fields(INVERTED)], "images": 3}
    body = {"structures": [fields(AMMONIA), fields(molecule("H2O"))], "options": options}
    answer = bundled.client.post("/tasks/neb", json=body)
    assert answer.status_code == 200
    check(document, "/tasks/neb", "post", answer)
    found, other = answer.json()["results"]
    (path,) = found["value"]["paths"]
    assert path["converged"]
    assert path["barrier_eV"] == pytest.approx(0.24, abs=0.05)
    assert len(path["positions_A"]) == len(path["energies_eV"]) == 5
    assert "H3N1, and the structure is H2O1" in other["error"]["message"]
    bad = bundled.client.post("/tasks/neb", json={**fields(AMMONIA), "options": {}})
    assert bad.json()["error"]["message"].startswith("options.ends: this field is required")


def test_the_client_sends_atoms_as_ends(bundled: Running) -> None:
    with Client(f"http://127.0.0.1:{bundled.port}") as client:
        (one,) = client.neb(AMMONIA, ends=INVERTED, images=1)
        (two,) = client.neb(AMMONIA, ends=[INVERTED, fields(INVERTED)], images=1)
        (streamed,) = client.stream([AMMONIA], task="neb", ends=[INVERTED], images=1)
        with pytest.raises(InvalidRequest, match=r"ends.0: 1.5 \(float\) is no end of a path"):
            client.neb(AMMONIA, ends=[1.5])
    assert [len(each.value["paths"]) for each in (one, two, streamed)] == [1, 2, 1]
    assert one.relaxation.converged
    barriers = [each.value["paths"][0]["barrier_eV"] for each in (one, two, streamed)]
    assert barriers == pytest.approx([barriers[0]] * 3, abs=1e-3)


def test_a_path_of_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOT_CACHE", "")
    names = [tmp_path / "ammonia.xyz", tmp_path / "inverted.xyz"]
    for name, atoms in zip(names, (AMMONIA, INVERTED), strict=True):
        ase.io.write(name, atoms, format="extxyz")
    here = ["--model-store", str(MODEL_STORE), "--threads", "1", "--json", "--images", "1"]
    assert main(["neb", str(names[0]), "--ends", str(names[1]), *here]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["value"]["paths"][0]["barrier_eV"] == pytest.approx(0.24, abs=0.05)
    with pytest.raises(SystemExit):
        main(["neb", str(names[0]), *here])
    assert "the following arguments are required: --ends" in capsys.readouterr().err
    (tmp_path / "name.smi").write_text("N\n")
    with pytest.raises(SystemExit):
        main(["neb", str(names[0]), "--ends", str(tmp_path / "name.smi"), *here])
    assert "which has no geometry" in capsys.readouterr().err
