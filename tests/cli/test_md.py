"""`equipot md`: dynamics of files, and going on."""

import json
from pathlib import Path

import pytest

from app.cli.main import main
from tests.paths import MODEL_STORE

XYZ = "3\nProperties=species:S:1:pos:R:3 id=water\nO 0 0 0.1\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n"
HERE = ["--model-store", str(MODEL_STORE), "--threads", "1"]


def test_dynamics_go_on_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOT_CACHE", "")
    (tmp_path / "water.xyz").write_text(XYZ)
    asked = ["md", str(tmp_path / "water.xyz"), *HERE, "--steps", "20"]
    first = tmp_path / "first.json"
    assert main([*asked, "--temperatures-K", "100", "200", "-o", str(first)]) == 0
    (result,) = json.loads(first.read_text())["results"]
    states = [replica["last"] for replica in result["value"]["replicas"]]
    assert [state["temperature_K"] for state in states] == [100, 200]
    last = tmp_path / "last.json"
    last.write_text(json.dumps(states))
    capsys.readouterr()
    assert main([*asked, "--restart", str(last)]) == 0
    captured = capsys.readouterr()
    told = captured.out
    assert "relaxations" not in captured.err
    assert "replicas.1.last.step             40\n" in told
    assert "Lattice" not in told
    assert "Properties" not in told

    assert main(["md", asked[1], *asked[1:], "--restart", str(last)]) == 1
    assert "restart: is of one structure" in capsys.readouterr().err
    assert main([*asked, "--restart", str(last), "--random-seed", "2"]) != 0
    assert "--random-seed: is that of each state of restart" in capsys.readouterr().err


def test_what_no_state_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "water.xyz"
    file.write_text(XYZ)
    (tmp_path / "bad.json").write_text(XYZ)
    with pytest.raises(SystemExit):
        main(["md", str(file), "--restart", str(tmp_path / "bad.json")])
    assert "bad.json: no JSON" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["md", str(file), "--restart", str(tmp_path / "none.json")])
    assert "No such file" in capsys.readouterr().err
