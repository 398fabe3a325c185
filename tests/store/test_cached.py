import asyncio
import os
import shutil
import time
from pathlib import Path

import pytest

from app.errors import InvalidRequest, ModelExists, UnknownModel, UnreachableStore
from app.integrations.local import LocalModel
from app.store.cached import CachedStore
from app.store.card import ModelCard
from app.store.location import open_store
from app.store.store import CARD, ModelStore
from tests.api.server import ARGON, running
from tests.store.remote_stores import web_server


@pytest.fixture
def away(tmp_path: Path, pair_store: Path) -> Path:
    """A folder with two versions of a model, which URLs lead to."""
    return Path(shutil.copytree(pair_store, tmp_path / "away"))


@pytest.fixture
def store(away: Path, tmp_path: Path) -> CachedStore:
    return CachedStore(f"file://{away}", tmp_path / "cache")


def copies(store: ModelStore) -> list[str]:
    return sorted(str(card.parent.relative_to(store.root)) for card in store.root.rglob(CARD))


def test_a_version_is_copied_when_it_is_loaded(store: CachedStore, away: Path) -> None:
    assert store.names() == ["pairs"]
    assert store.versions("pairs") == [1, 2]
    assert copies(store) == []
    model = store.load("pairs")
    assert model.digest == ModelStore(away).load("pairs@2").digest
    assert model.folder.is_relative_to(store.root)
    assert copies(store) == ["pairs/2"]


def test_without_the_url_the_copies_are_the_store(
    pair_store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with web_server(pair_store) as url:
        store = CachedStore(url, tmp_path)
        store.load("pairs@1")
    assert store.names() == ["pairs"]
    assert store.versions("pairs") == [1]
    assert "; only what was copied is used: pairs@1" in caplog.text
    assert store.load("pairs").card.version == 1
    with pytest.raises(UnknownModel, match="has no version '2'"):
        store.load("pairs@2")
    empty = CachedStore(url, tmp_path / "empty")
    with pytest.raises(UnreachableStore, match="cannot be reached"):
        empty.load("pairs@1")


def test_a_damaged_copy_is_made_anew(store: CachedStore, caplog: pytest.LogCaptureFixture) -> None:
    folder = store.load("pairs@1").folder
    (folder / CARD).write_text("{")
    assert store.load("pairs@1").card.version == 1
    assert "the copy of pairs@1 is fetched again" in caplog.text


def test_what_was_not_uploaded_as_a_whole_is_a_stray(store: CachedStore, away: Path) -> None:
    (away / "pairs" / "2" / CARD).unlink()
    assert store.names() == ["pairs"]
    assert store.strays() == {"pairs@2": "it has no card.json: it was not uploaded as a whole"}
    assert store.resolve("pairs") == ("pairs", 1)


def test_copies_that_are_too_many_go_the_least_used_first(away: Path, tmp_path: Path) -> None:
    store = CachedStore(f"file://{away}", tmp_path / "cache", most=1)
    older = store.load("pairs@1").folder
    os.utime(older, (0, 0))
    broken = store.root / "pairs" / ".fetching-x"
    broken.mkdir()
    os.utime(broken, (0, 0))
    began = time.time()
    store.load("pairs@2")
    assert copies(store) == ["pairs/2"]
    assert not broken.exists()
    assert (store.root / "pairs" / "2").stat().st_mtime >= began - 1


def test_publishing_pushes_and_never_writes_over(
    store: CachedStore, pair_card: ModelCard, away: Path
) -> None:
    assert store.next_version("pairs") == 3
    with store.publish(pair_card.model_copy(update={"version": 3})):
        pass
    assert ModelStore(away).load("pairs").card.version == 3
    with (
        pytest.raises(ModelExists, match="has another pairs@1"),
        store.publish(pair_card.model_copy(update={"description": "other"})),
    ):
        pass
    assert copies(store) == ["pairs/3"]


def test_the_service_serves_from_a_url_and_takes_up_new_versions(
    away: Path, tmp_path: Path
) -> None:
    shutil.move(away / "pairs" / "2", tmp_path / "later")
    with web_server(away) as url, running(url, cache=tmp_path / "cache") as server:
        assert server.predict(ARGON).json()["model"]["version"] == 1
        shutil.move(tmp_path / "later", away / "pairs" / "2")
        models = server.server.service.models
        asyncio.run_coroutine_threadsafe(models.reload(), server.server.loop).result(60)
        assert server.predict(ARGON).json()["model"]["version"] == 2
        assert copies(ModelStore(tmp_path / "cache")) != []


def test_a_model_in_this_process_is_opened_from_a_url(
    away: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOT_CACHE", str(tmp_path / "cache"))
    model = LocalModel("pairs", f"file://{away}")
    assert model.backend.card.version == 2


def test_copies_need_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOT_CACHE", "")
    with pytest.raises(InvalidRequest, match=r"needs a folder for copies .*: set EQUIPOT_CACHE"):
        open_store("memory://models")


def test_a_service_whose_url_cannot_be_reached_says_so(tmp_path: Path) -> None:
    with web_server(tmp_path) as url:
        pass
    with running(url, cache=tmp_path / "cache") as server:
        answer = server.client.get("/readyz")
    assert answer.status_code == 503
    assert f"{url} cannot be reached or used" in answer.text
