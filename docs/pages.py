"""Pages that lie outside of docs/, for mkdocs: all that the pages link to is part of the site.

A file has one place in the site: that of docs/ begins at its root, any other has the path that it
has in the checkout. Links in the pages are those of the checkout, where they can be followed too.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs/"
FIRST = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
LINK = re.compile(r"^```.*?^```|(?<=\]\()([^)\s#]+)", re.MULTILINE | re.DOTALL)
"""A block of code, or the file that a link leads to."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what the pages link to, and what that links to."""
    waiting = [*FIRST, *(DOCS + file.src_uri for file in files.documentation_pages())]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if not path.startswith(DOCS):
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
        if path.endswith(".md"):
            waiting += _linked(path)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the checkout into links between those of the site."""
    path = _in_checkout(page.file)
    here = posixpath.dirname(page.file.src_uri)

    def in_site(link: str) -> str:
        target = _target(path, link)
        return link if target is None else posixpath.relpath(target.removeprefix(DOCS), here or ".")

    return _replaced(markdown, in_site)


def _linked(path: str) -> Iterator[str]:
    for link in LINK.findall((ROOT / path).read_text(encoding="utf-8")):
        target = _target(path, link) if link else None
        if target is not None and (ROOT / target).is_file():
            yield target


def _target(path: str, link: str) -> str | None:
    """The file of the checkout that a link of another one leads to; none where it leads elsewhere."""
    if re.match(r"\w+:", link):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _in_checkout(file: File) -> str:
    return file.src_uri if (ROOT / file.src_uri).is_file() else DOCS + file.src_uri


def _replaced(markdown: str, change: Callable[[str], str]) -> str:
    return LINK.sub(lambda found: change(found[1]) if found[1] else found[0], markdown)
