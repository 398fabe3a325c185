"""The page as files: served by the service, from nowhere else, and in the wheel."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.api.routes import page
from app.formats.registry import FORMATS, WRITERS
from tests.api.server import Running, running

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
INDEX = (page.FOLDER / "index.html").read_text(encoding="utf-8")
OWN = sorted(path for path in page.FOLDER.iterdir() if path.is_file())


@pytest.fixture(scope="module")
def service(pair_store: Path) -> Iterator[Running]:
    """A service, whose page is looked at without a browser."""
    with running(pair_store) as server:
        yield server


def test_browsers_get_a_page_that_may_load_nothing_from_elsewhere(service: Running) -> None:
    answer = service.client.get("/", headers=HTML)
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert not [rule for rule in policy if "unsafe" in rule or "http" in rule]
    assert answer.text == INDEX
    assert service.client.head("/", headers=HTML).content == b""


def test_programs_get_the_index(service: Running) -> None:
    for headers in ({}, {"Accept": "application/json"}, {"Accept": "*/*"}):
        assert service.client.get("/", headers=headers).json()["service"] == "equipot"


def test_the_index_says_whether_smiles_are_understood(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for there in (True, False):
        monkeypatch.setattr(page, "is_available", lambda there=there: there)
        assert service.client.get("/").json()["smiles"] is there


def test_every_file_is_there_and_has_not_changed_when_it_is_asked_again(service: Running) -> None:
    named = re.findall(r'(?:src|href)="(page/[^"]+)"', INDEX)
    assert len(named) == 3
    for path in (*named, *(f"page/{own.name}" for own in OWN)):
        answer = service.client.get(f"/{path}")
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = {"If-None-Match": answer.headers["etag"]}
        assert service.client.get(f"/{path}", headers=again).status_code == 304


@pytest.mark.parametrize("path", ["nothing.js", "..%2f__init__.py", "%2e%2e/settings.py", ""])
def test_other_paths_are_errors_as_everywhere(service: Running, path: str) -> None:
    answer = service.client.get(f"/page/{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_our_files_refer_to_nothing_outside(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "http:" not in text
    assert "https:" not in text
    for module in re.findall(r'(?:from|import\()\s*"([^"]+)"', text):
        assert (path.parent / module).is_file()


def test_each_library_has_its_licence_and_its_version() -> None:
    told = (page.FOLDER / "vendor" / "README.md").read_text(encoding="utf-8")
    folders = [path for path in (page.FOLDER / "vendor").iterdir() if path.is_dir()]
    assert len(folders) == 2
    for folder in folders:
        assert (folder / "LICENSE").is_file()
        (script,) = folder.glob("*.js")
        (version,) = re.findall(rf"`[^`]*{script.name}` \| (\S+) \|", told)
        text = script.read_text(encoding="utf-8")
        licence = "".join(extra.read_text() for extra in folder.glob("*.LICENSE.txt"))
        assert version in text + licence


def test_the_formats_to_choose_from_are_those_that_are_read() -> None:
    offered = re.findall(r'<option value="(\w+)" data-names="([^"]+)">', INDEX)
    assert {kind: tuple(names.split()) for kind, names in offered} == {
        kind: known.suffixes for kind, known in FORMATS.items()
    }


def test_the_formats_to_download_are_those_that_are_written() -> None:
    (listed,) = re.findall(r"FORMATS = \{([^}]+)\}", (page.FOLDER / "answer.js").read_text())
    assert set(re.findall(r"(\w+):", listed)) == {"json", *WRITERS}
