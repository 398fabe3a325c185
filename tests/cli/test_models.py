import json
from pathlib import Path

import pytest

from app.cli.main import main
from app.engine.calibration import EFFORTS
from app.store.store import ModelStore


@pytest.fixture
def store(pair_store: Path, tmp_path: Path) -> Path:
    """The pair model, and one whose file was changed."""
    card = ModelStore(pair_store).load("pairs").card
    for name in ("sound", "changed"):
        with ModelStore(tmp_path).publish(
            card.model_copy(update={"name": name, "version": 1})
        ) as publication:
            (publication.folder / "notes.txt").write_text("as it was")
    (tmp_path / "changed" / "1" / "notes.txt").write_text("not as it was")
    return tmp_path


def models(store: Path, *arguments: str) -> int:
    return main(["models", *arguments, "--model-store", str(store)])


def test_list(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models(store, "list") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("MODEL")
    assert "corrupt" in lines[1]
    assert "sha256" in lines[1]
    assert "Lennard-Jones for tests" in lines[2]


def test_list_for_programs(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models(store, "list", "sound", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["model"] == "sound@1"
    assert entry["card"]["cutoff"] == 6.0


def test_show(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models(store, "show", "sound") == 0
    shown = capsys.readouterr().out
    assert "sound@1" in shown
    assert "cutoff" in shown
    assert shown.startswith("It knows argon, neon,")


def test_verify(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models(store, "verify", "sound@1") == 0
    assert models(store, "verify") == 1
    assert "corrupt" in capsys.readouterr().out


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration that is over at once."""
    monkeypatch.setitem(EFFORTS, "thorough", (0.002, 1))


@pytest.mark.usefixtures("hasty")
def test_calibrate(
    pair_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EQUIPOT_CACHE", str(tmp_path / "cache"))
    assert models(pair_store, "calibrate", "pairs", "--threads", "1") == 0
    shown = capsys.readouterr().out
    (kept,) = (tmp_path / "cache").iterdir()
    assert str(kept) in shown
    assert "pairs@2" in shown
    assert models(pair_store, "calibrate", "pairs", "--threads", "1", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["measurements"][0]["structures"] == 1


def test_unknown(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models(store, "show", "nobody") == 1
    assert "nobody" in capsys.readouterr().err


def test_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models(tmp_path, "list") == 0
    assert "no model" in capsys.readouterr().out
