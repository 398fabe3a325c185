"""The site is made of all pages, without a warning, and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES
from tests.paths import ROOT

FOR_PACKAGES = {"client/README.md"}
"""Pages that nothing links to."""
LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Loaded(HTMLParser):
    """Addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(given.get(LOADING.get(tag, "")) or "")


def test_every_page_is_there(site: Path) -> None:
    expected = {str(page.relative_to(ROOT)).removeprefix("docs/") for page in PAGES} - FOR_PACKAGES
    made = {re.sub(r"README\.md$", "index.html", path).replace(".md", ".html") for path in expected}
    assert [path for path in sorted(made) if not (site / path).is_file()] == []


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        assert [a for a in loaded.addresses if re.match(r"(\w+:)?//", a)] == [], page


def test_figures_and_files_are_there(site: Path) -> None:
    """mkdocs checks links in markdown; these are what the links have become."""
    assert (site / "docker/compose.yaml").is_file()
    assert 'src="page.png"' in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "page.png").is_file()
