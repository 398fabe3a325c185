"""Every script of docs/client.md runs, on a real server."""

import re
from collections.abc import Iterator
from pathlib import Path

import ase.io
import pytest
from ase.build import molecule

from tests.api.server import Running, running
from tests.paths import MODEL_STORE, ROOT

PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
URL = "http://localhost:8000"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("jobs")
    with running(MODEL_STORE, default_model="organic-xtb", threads=1, jobs_folder=folder) as server:
        yield server


def test_there_are_ten_tasks() -> None:
    assert len(re.findall(r"^\*\*\d+\. ", PAGE, re.MULTILINE)) == 10
    assert len(SCRIPTS) == 11


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_it_runs(
    service: Running, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rdkit")
    monkeypatch.chdir(tmp_path)
    frames = [molecule(name) for name in ("H2O", "NH3", "CH3OH")]
    ase.io.write("molecules.xyz", frames, format="extxyz")
    script = SCRIPTS[number]
    assert URL in script
    exec(script.replace(URL, f"http://127.0.0.1:{service.port}"), {"__name__": "script"})
