"""Which store is meant where nobody says."""

from pathlib import Path

import pytest

from app.settings import Settings
from app.store import location
from app.store.location import (
    DEFAULT_MODEL,
    absolute,
    bundled_store,
    default_store,
    located,
    own_store,
)
from app.store.store import ModelStore
from tests.paths import MODEL_STORE


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(location.MODEL_STORE, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_bundled_one_is_found_from_any_folder() -> None:
    assert default_store() == bundled_store() == MODEL_STORE
    assert ModelStore(default_store()).load(DEFAULT_MODEL)


def test_that_of_the_working_directory_comes_before_it(tmp_path: Path) -> None:
    (tmp_path / "model_store").mkdir()
    assert default_store() == Path("model_store")


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model_store").mkdir()
    monkeypatch.setenv(location.MODEL_STORE, "/srv/models")
    assert default_store() == own_store() == Path("/srv/models")


def test_an_installed_package_has_it_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "app"
    (package / "model_store").mkdir(parents=True)
    monkeypatch.setattr(location, "__file__", str(package / "store" / "location.py"))
    assert default_store() == package / "model_store"
    assert own_store() == Path("model_store")
    (package / "model_store").rmdir()
    assert default_store() == Path("model_store")


def test_a_url_stays_as_it_is(monkeypatch):
    monkeypatch.setenv("EQUIPOT_MODEL_STORE", "s3://bucket/models")
    assert default_store() == own_store() == "s3://bucket/models"
    assert absolute("s3://bucket/models") == located("s3://bucket/models") == "s3://bucket/models"
    assert Settings().model_store == "s3://bucket/models"
    assert absolute("models") == Path("models").resolve()
