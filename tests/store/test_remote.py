import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from app.errors import (
    CorruptModel,
    InvalidRequest,
    ModelExists,
    UnknownModel,
    UnreachableStore,
)
from app.store.card import ModelCard
from app.store.remote import RemoteStore
from app.store.store import CARD, ModelStore, StoredModel
from tests.extras import run_without
from tests.store.remote_stores import web_server, writable

FILE = "metrics.json"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, pair_card: ModelCard) -> ModelStore:
    """A store with `lj@1` and `lj@2`, of two files each."""
    store = ModelStore(tmp_path_factory.mktemp("own"))
    for version in (1, 2):
        card = pair_card.model_copy(update={"name": "lj", "version": version})
        with store.publish(card) as publication:
            (publication.folder / FILE).write_text("{}" * version)
    return store


@pytest.fixture(params=["file", "memory", "s3"], scope="module")
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with writable(request.param, tmp_path_factory.mktemp("url")) as url:
        yield url


@pytest.fixture
def remote(url: str) -> Iterator[RemoteStore]:
    """An empty store at a URL."""
    yield RemoteStore(url)
    system, path = fsspec.core.url_to_fs(url)
    system.invalidate_cache()
    if system.exists(path):
        system.rm(path, recursive=True)


def write(remote: RemoteStore, path: str, content: bytes) -> None:
    """Change what is at the URL."""
    options = {"auto_mkdir": True} if remote.protocol == "file" else {}
    system, root = fsspec.core.url_to_fs(remote.url, **options)
    system.pipe_file(f"{root}/{path}", content)


def files_of(model: StoredModel) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in model.folder.iterdir()}


class TestPushAndFetch:
    def test_what_is_pushed_is_fetched_with_the_same_bytes(self, own, remote, tmp_path):
        assert remote.push(own.load("lj@1"))
        assert remote.push(own.load("lj@2"))
        assert remote.listing().versions == {"lj": [1, 2]}
        assert remote.resolve("lj") == ("lj", 2)
        remote.fetch("lj", 1, tmp_path)
        fetched = ModelStore(tmp_path).load("lj@1")
        assert fetched.digest == own.load("lj@1").digest == remote.digest("lj", 1)
        assert files_of(fetched) == files_of(own.load("lj@1"))
        assert [path.name for path in (tmp_path / "lj").iterdir()] == ["1"]

    def test_the_same_version_is_pushed_once(self, own, remote):
        assert remote.push(own.load("lj@1"))
        assert not remote.push(own.load("lj@1"))

    def test_another_version_of_the_number_is_never_written_over(
        self, own, remote, pair_card, tmp_path
    ):
        remote.push(own.load("lj@1"))
        other = ModelStore(tmp_path)
        with other.publish(pair_card.model_copy(update={"name": "lj", "description": "other"})):
            pass
        with pytest.raises(ModelExists, match=r"has another lj@1, of digest .*; versions never"):
            remote.push(other.load("lj@1"))
        assert remote.digest("lj", 1) == own.load("lj@1").digest

    def test_half_an_upload_is_no_version_and_is_named(self, own, remote):
        remote.push(own.load("lj@1"))
        write(remote, f"lj/2/{FILE}", b"{}{}")
        assert remote.listing().versions == {"lj": [1]}
        assert remote.listing().unfinished == ["lj@2"]
        assert remote.resolve("lj") == ("lj", 1)
        with pytest.raises(UnknownModel, match=r"/lj/2 has no card.json: it was not uploaded"):
            remote.resolve("lj@2")
        assert remote.push(own.load("lj@2"))
        assert remote.resolve("lj") == ("lj", 2)

    def test_a_file_of_another_upload_is_not_written_over(self, own, remote):
        write(remote, f"lj/1/{FILE}", b"{")
        with pytest.raises(ModelExists, match=rf"/lj/1/{FILE} is not {FILE} of this version"):
            remote.push(own.load("lj@1"))
        assert remote.listing().versions == {}

    @pytest.mark.parametrize(
        ("file", "content", "message"),
        [
            (FILE, b"{ }", rf"/lj/1/{FILE}: sha256 .* differs from the card's"),
            (CARD, b"{", rf"/lj/1/{CARD} is no model card"),
        ],
    )
    def test_what_is_not_what_the_card_says_is_refused_by_name(
        self, own, remote, tmp_path, file, content, message
    ):
        remote.push(own.load("lj@1"))
        write(remote, f"lj/1/{file}", content)
        with pytest.raises(CorruptModel, match=message) as caught:
            remote.fetch("lj", 1, tmp_path)
        assert remote.url in str(caught.value)
        assert list((tmp_path / "lj").iterdir()) == []

    def test_what_is_not_there_is_told_with_what_is(self, own, remote):
        remote.push(own.load("lj@1"))
        with pytest.raises(UnknownModel, match=r"no model 'away' at .*; it has: lj@1"):
            remote.resolve("away")


def test_a_web_server_is_read_and_not_written(own, tmp_path):
    with web_server(own.root) as url:
        remote = RemoteStore(url)
        assert remote.listing().versions == {"lj": [1, 2]}
        remote.fetch("lj", 2, tmp_path)
        with pytest.raises(InvalidRequest, match="can be read by http, not written"):
            remote.push(own.load("lj@1"))
    assert ModelStore(tmp_path).load("lj").digest == own.load("lj").digest
    with pytest.raises(UnreachableStore, match=r"127\.0\.0\.1:\d+ cannot be reached or used: "):
        remote.listing()


def test_a_web_server_without_lists_gives_exact_versions(own, tmp_path):
    with web_server(own.root, lists=False) as url:
        remote = RemoteStore(url)
        assert remote.resolve("lj@1") == ("lj", 1)
        with pytest.raises(UnknownModel, match="it has: none"):
            remote.resolve("lj")
        remote.fetch("lj", 1, tmp_path)


def test_a_card_of_another_model_is_refused(own, tmp_path):
    shutil.copytree(own.root / "lj" / "1", tmp_path / "away" / "odd" / "1")
    with pytest.raises(CorruptModel, match=r"away/odd/1: its card is of lj@1"):
        RemoteStore(f"file://{tmp_path}/away").fetch("odd", 1, tmp_path / "here")


def test_a_password_is_not_shown():
    assert RemoteStore("http://me:secret@host/models/").url == "http://host/models"


def test_an_unknown_kind_of_url_is_refused():
    with pytest.raises(InvalidRequest, match="colour://x: Protocol not known: colour"):
        RemoteStore("colour://x")


CODE = """
import sys
from pathlib import Path
from app.store.location import open_store
from app.errors import InvalidRequest
try:
    open_store(sys.argv[1], Path("cache"))
except InvalidRequest as error:
    print(error)
"""


def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    told = run_without(["remote"], CODE, "s3://bucket/models", folder=tmp_path)
    assert told.strip().endswith("pip install 'equipot[remote]' s3fs")
