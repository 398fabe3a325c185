"""docs/architecture.md is the map of the code that is there."""

import re
import tomllib

from tests.paths import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FLOOR = re.compile(r"^\| (\d+) \| ([^|]+) \|", re.MULTILINE)
PATH = re.compile(r"(?<![\w./-])([a-z_]+(?:/[a-z_0-9]+)+)(?:\.py)?(?![\w/-]|\.[a-z])")


def test_the_floors_are_those_of_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = [c["layers"] for c in contracts if c.get("containers") == ["app"]]
    expected = [set(re.findall(r"\w+", layer)) for layer in layers]
    rooms: dict[int, set[str]] = {}
    for floor, named in FLOOR.findall(PAGE):
        rooms.setdefault(int(floor), set()).update(re.findall(r"\w+", named))
    assert [rooms[floor] for floor in sorted(rooms, reverse=True)] == expected


def test_every_module_that_it_names_is_there() -> None:
    rooms = {path.name for path in (ROOT / "app").iterdir() if path.is_dir()}
    named = {path for path in PATH.findall(PAGE) if path.split("/")[0] in {*rooms, "app", "tests"}}
    assert len(named) > 30
    missing = [
        path
        for path in named
        for base in [ROOT if path.startswith(("app/", "tests/")) else ROOT / "app"]
        if not ((base / path).is_dir() or (base / f"{path}.py").is_file())
    ]
    assert missing == []
