"""The wheels of the service and of the client, built and installed as anybody would, used in an empty
folder.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.paths import ROOT

WATER = {"symbols": ["O", "H", "H"], "positions": [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]}


@dataclass(frozen=True)
class Installed:
    """The wheel's packages in a folder of their own, over those of this environment.

    Attributes:
        site: the folder.
        empty: another one, to work in.
    """

    site: Path
    empty: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`equipot` with these words, in the empty folder."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("EQUIPOT_")}
        return subprocess.Popen(
            [sys.executable, self.site / "bin" / "equipot", *words],
            cwd=self.empty,
            env=own | {"PYTHONPATH": str(self.site), "XDG_CACHE_HOME": str(self.empty)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    built, site = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    for folder in (ROOT, ROOT / "client"):
        subprocess.run([*build, str(built)], cwd=folder, check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*install, "--target", str(site), *map(str, built.iterdir())], check=True)
    return Installed(site, tmp_path_factory.mktemp("empty"))


def test_the_wheel_holds_the_bundled_models_and_no_tests(installed: Installed) -> None:
    store = ROOT / "model_store"
    cards = {path.relative_to(store) for path in store.glob("*/*/card.json")}
    packed = installed.site / "app" / "model_store"
    assert cards == {path.relative_to(packed) for path in packed.glob("*/*/card.json")}
    assert {path.name for path in installed.site.iterdir() if path.suffix != ".dist-info"} == {
        "app",
        "bin",
        "equipot",
    }


def test_the_models_are_found(installed: Installed) -> None:
    process = installed.start("models", "list", "--json")
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    states = {entry["model"]: entry["state"] for entry in json.loads(out)}
    assert {"organic-xtb@3": "sound", "lennard-jones@1": "sound"}.items() <= states.items()


@contextmanager
def serving(installed: Installed) -> Iterator[str]:
    """A server's address, once it is ready; it has to end when it is told to."""
    process = installed.start("serve", "--port", "0", "--threads", "1")
    try:
        log = ""
        assert process.stderr
        for line in process.stderr:
            log += line
            if "ready after" in log and "listening on" in log:  # in either order
                break
        address = re.search(r"listening on (http://\S+)", log)
        assert address, log
        yield address[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGTERM)


ASK = """
import sys
from equipot import Client, EquipotCalculator
print(Client(sys.argv[1]).predict({"symbols": ["He"], "positions": [[0, 0, 0]]}, model="lennard-jones")[0].energy)
EquipotCalculator("lennard-jones")
"""


def test_the_client_answers(installed: Installed) -> None:
    with serving(installed) as address:
        done = subprocess.run(
            [sys.executable, "-c", ASK, address],
            cwd=installed.empty,
            env=os.environ | {"PYTHONPATH": str(installed.site)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 0.0


def test_the_service_answers(installed: Installed) -> None:
    with serving(installed) as address:
        body = json.dumps({"structures": [WATER]}).encode()
        request = Request(f"{address}/predict", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as response:
            answer = json.load(response)
        browsers = Request(f"{address}/", headers={"Accept": "text/html"})
        with urlopen(browsers, timeout=60) as response:
            assert b'src="page/main.js"' in response.read()
        with urlopen(f"{address}/page/main.js", timeout=60) as response:
            assert response.read() == (ROOT / "app/page/main.js").read_bytes()
    assert answer["results"][0]["energy"] < 0
    assert answer["model"]["name"] == "organic-xtb"
