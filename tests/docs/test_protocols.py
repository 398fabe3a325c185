"""What docs/protocols.md asks, as it is typed."""

import re
import shlex

import httpx
import pytest

from tests.api.server import Running, running
from tests.paths import MODEL_STORE, ROOT

PAGE = (ROOT / "docs/protocols.md").read_text(encoding="utf-8")
CURLS = re.findall(r"^    (curl .*?)\n(?!    )", PAGE, re.MULTILINE | re.DOTALL)
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server():
    with running(MODEL_STORE, default_model="lennard-jones", models="lennard-jones") as server:
        yield server


@pytest.mark.parametrize("command", CURLS, ids=range(len(CURLS)))
def test_the_commands_are_answered(server: Running, command: str) -> None:
    words = shlex.split(command)
    url = next(word for word in words if word.startswith("localhost:8000"))
    content = words[words.index("-d") + 1]
    headers = dict([words[words.index("-H") + 1].split(": ")])
    path = url.removeprefix("localhost:8000")
    got = httpx.post(f"http://127.0.0.1:{server.port}{path}", content=content, headers=headers)
    assert got.status_code == 200, got.text


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_the_programs_run(server: Running, block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(block.replace("localhost:8000", f"127.0.0.1:{server.port}"), {})
    assert capsys.readouterr().out
