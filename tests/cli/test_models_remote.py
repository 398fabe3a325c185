from pathlib import Path

import pytest

from app.cli.main import main
from app.store.store import ModelStore


@pytest.fixture
def away(tmp_path: Path) -> str:
    """The URL of an empty store."""
    return f"file://{tmp_path}/away"


def models(store: Path, *arguments: str) -> int:
    return main(["models", *arguments, "--model-store", str(store)])


def test_what_is_pushed_is_pulled(
    pair_store: Path, away: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert models(pair_store, "push", "--to", away) == 0
    assert f"pairs@2 {ModelStore(pair_store).load('pairs').digest[:12]}… pushed" in told(capsys)
    assert models(pair_store, "push", "pairs", "--to", away) == 0
    assert told(capsys).endswith("… was there already\n")
    assert models(tmp_path / "own", "pull", "pairs@1", "--from", away) == 0
    assert ModelStore(tmp_path / "own").versions("pairs") == [1]
    assert models(tmp_path / "own", "pull", "--from", away) == 0
    first, second = told(capsys).splitlines()[-2:]
    assert first.endswith("… was there already")
    assert second.endswith(f"… pulled from {away}")


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_another_version_of_the_number_is_refused_both_ways(
    pair_store: Path, away: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models(pair_store, "push", "pairs@1", "--to", away)
    own = ModelStore(tmp_path / "own")
    card = ModelStore(pair_store).load("pairs@1").card
    with own.publish(card.model_copy(update={"description": "other"})):
        pass
    for arguments in (["push", "pairs", "--to", away], ["pull", "pairs@1", "--from", away]):
        assert models(own.root, *arguments) == 1
        assert "has another pairs@1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pull", "pairs"], "--from is needed by `models pull`"),
        (["push", "pairs", "--from", "memory://x"], "--from is not for `models push`"),
        (["list", "--to", "memory://x"], "--to is not for `models list`"),
        (["push", "--to", "folder"], "--to folder: no URL; a folder is file:///its/path"),
        (["push", "--to", "https://host/models"], "can be read by https, not written"),
    ],
)
def test_wrong_usage_says_what_is_right(
    pair_store: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert models(pair_store, *arguments) == 2
    assert message in capsys.readouterr().err


def test_models_are_pulled_into_a_folder(away: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "--from", away, "--model-store", "memory://x"]) == 2
    assert "models are pulled into a folder" in capsys.readouterr().err


def test_models_of_a_url_are_listed_and_verified(
    pair_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EQUIPOT_CACHE", str(tmp_path))
    monkeypatch.setenv("EQUIPOT_MODEL_STORE", f"file://{pair_store}")
    assert main(["models", "verify"]) == 0
    assert told(capsys).count("sound") == 2
