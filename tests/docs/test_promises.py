"""Each promise names a test that is there."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.paths import ROOT

PAGE = (ROOT / "docs/promises.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| (?!promise)[^-]", line)]
NAMED = re.findall(r"`(tests/\S+?)`", PAGE)


def names_in(body: list[ast.stmt], before: str = "") -> Iterator[str]:
    """Names of the tests of a module, as pytest writes them."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from names_in(node.body, f"{before}{node.name}::")
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield before + node.name


def test_every_row_names_one() -> None:
    assert len(ROWS) == len(NAMED) > 30
    assert len(set(NAMED)) == len(NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_it_is_there(name: str) -> None:
    file, _, test = name.partition("::")
    module = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in set(names_in(module.body))
