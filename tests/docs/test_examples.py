"""The examples of the pages, as they are typed, on a real server and real files.

Every block of Python runs, and every command of `RUN`; JSON that stands below a `curl` is what that
answers. What does not run is in `ELSEWHERE` or `NOT_HERE`, and `test_blocks.py` holds its words
against the command line.
"""

import gzip
import json
import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import pytest
from ase.build import bulk, molecule

from app.cli.main import main
from app.store.card import ModelCard
from app.store.store import ModelStore
from tests.api.server import Running, running
from tests.docs.blocks import BLOCKS, COMMANDS, Block, Command
from tests.paths import MODEL_STORE, ROOT

RUN = ("curl ", *(f"equipot {name} " for name in ("predict", "relax", "jobs", "keys", "models")))
"""What runs. The others train, label, measure or serve for minutes, install
something, or are other people's.
"""
ELSEWHERE = {
    "README.md": "test_readme.py",
    "docs/lammps.md": "test_lammps.py",
    "docs/new-architecture.md": "test_new_architecture.py",
    "docs/qcschema.md": "test_qcschema.py",
    "docs/torch-sim.md": "test_torch_sim.py",
}
"""Pages whose blocks of Python another file runs."""
NOT_HERE = {
    "models import": "fetches or converts a model with torch: tests/training/importers",
    "--ray": "takes Ray: tests/cluster",
    "aspirins.xyz": "is made for a measurement",
    "sevennet-0": "that model is not bundled",
    "--model density": "its architecture is made in test_new_architecture.py",
    "/admin/": "changes what the others are answered by: tests/api/test_admin.py",
    "MiniDrugBank.sdf": "a data set that is not part of the project",
}
"""Words of commands that cannot run here, and why."""
URL = "localhost:8000"
SDF = """methanol
  equipot 3D

  6  5  0  0  0  0  0  0  0  0999 V2000
   -0.0476    0.6661    0.0000 C   0  0
   -0.0476   -0.7581    0.0000 O   0  0
   -1.0924    0.9695    0.0000 H   0  0
    0.8785   -1.0485    0.0000 H   0  0
    0.4376    1.0716    0.8891 H   0  0
    0.4376    1.0716   -0.8891 H   0  0
  1  2  1  0
  1  3  1  0
  1  5  1  0
  1  6  1  0
  2  4  1  0
M  END
$$$$
"""


def is_run(command: Command) -> bool:
    """Whether a command runs here."""
    line = " ".join(command.words)
    return line.startswith(RUN) and not any(words in line for words in NOT_HERE)


PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [command for command in COMMANDS if is_run(command)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages name."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "more").mkdir()
    shutil.copytree(ROOT / "docs", folder / "docs")
    molecules = [molecule(name) for name in ("H2O", "NH3", "CH3OH")]
    for name in ("molecules.xyz", "million.xyz"):
        ase.io.write(folder / name, molecules, format="extxyz")
    ase.io.write(folder / "dimer.xyz", molecule("H2O"), format="extxyz")
    ase.io.write(folder / "salt.cif", bulk("NaCl", "rocksalt", 5.6))
    ase.io.write(folder / "more" / "box.cif", molecule("H2O", cell=[9, 9, 9], pbc=True))
    methanes = molecule("CH4", cell=[4.2, 4.2, 4.2], pbc=True) * (6, 6, 6)
    ase.io.write(folder / "big.xyz", methanes, format="extxyz")
    argon = bulk("Ar", "fcc", 5.26, cubic=True) * (4, 4, 4)
    ase.io.write(folder / "argon.data", argon, format="lammps-data", masses=True)
    (folder / "molecules.sdf").write_text(SDF)
    (folder / "molecules.sdf.gz").write_bytes(gzip.compress(SDF.encode()))
    water = {"symbols": ["O", "H", "H"], "positions": molecule("H2O").positions.tolist()}
    (folder / "structures.ndjson").write_text(json.dumps(water) + "\n")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, pair_card: ModelCard) -> Iterator[Running]:
    """A service of the bundled models, and of one's own."""
    store = tmp_path_factory.mktemp("served")
    shutil.copytree(MODEL_STORE, store, dirs_exist_ok=True)
    with ModelStore(store).publish(pair_card.model_copy(update={"name": "my-model"})):
        pass
    jobs = tmp_path_factory.mktemp("jobs")
    settings = {"default_model": "organic-xtb", "threads": 1, "jobs_folder": jobs}
    with running(store, drain_timeout=1, **settings) as server:
        yield server


@pytest.fixture(scope="module")
def job(server: Running) -> str:
    """A job that has ended."""
    body = {"symbols": ["H"], "positions": [[0, 0, 0]], "allow_odd_electrons": True}
    made: str = server.client.post("/jobs", json=body).json()["id"]
    assert server.client.get(f"/jobs/{made}/results?stream=true").status_code == 200
    return made


@pytest.fixture
def there(folder: Path, server: Running, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the service, asked from the folder of the files."""
    pytest.importorskip("rdkit")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EQUIPOT_MODEL_STORE", str(server.server.service.models.store.root))
    monkeypatch.setenv("EQUIPOT_API_KEYS_FILE", str(folder / "keys.json"))
    monkeypatch.setenv("EQUIPOT_CACHE", "")
    return f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.name)
def test_a_block_of_python_runs(there: str, block: Block) -> None:
    page = str(block.page.relative_to(ROOT))
    if page in ELSEWHERE:
        assert f'"{block.page.name}"' in (ROOT / "tests/docs" / ELSEWHERE[page]).read_text()
        return
    exec(block.text.replace(URL, there), {"__name__": "script"})


def ask(words: list[str]) -> str:
    """What `curl` prints; its status must be 2xx."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "--silent", "--show-error", "--fail-with-body", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("command", SHELL, ids=lambda command: command.name)
def test_a_command_runs(there: str, job: str, command: Command) -> None:
    changes = {URL: there, "7c4e…": job, "JOB": job, "/etc/equipot": "."}
    changes["s3://bucket"] = f"file://{Path.cwd()}"
    words = list(command.words)
    for shown, real in changes.items():
        words = [word.replace(shown, real) for word in words]
    if words[0] == "equipot":
        to_service = ["--server", f"http://{there}"] if words[1] == "jobs" else []
        assert main([*words[1:], *to_service]) == 0
        return
    answer = ask(words[1:])
    if (document := below(command)) is not None:
        compare(json.loads(document), json.loads(answer))


def below(command: Command) -> str | None:
    """The JSON document that the page shows as the answer."""
    number = BLOCKS.index(command.block) + 1
    following = BLOCKS[number] if number < len(BLOCKS) else command.block
    between = following.line - command.block.line - command.block.text.count("\n")
    is_answer = following.page == command.block.page and following.language == "json"
    is_one = following.text.startswith("{") and '\n{"' not in following.text
    return following.text if is_answer and is_one and between == 3 else None


def compare(shown: Any, answered: Any) -> None:
    """All that is shown is answered; `…` stands for what is left out, and numbers have fewer digits."""
    if isinstance(shown, dict):
        assert isinstance(answered, dict)
        for key in shown.keys() - {"…"}:
            compare(shown[key], answered[key])
    elif isinstance(shown, list):
        if shown != ["…"] and shown != [["…"]]:
            assert len(shown) == len(answered)
            for one, other in zip(shown, answered, strict=True):
                compare(one, other)
    elif isinstance(shown, float):
        assert math.isclose(shown, answered, rel_tol=0.01, abs_tol=1e-3)
    elif isinstance(shown, str):
        assert answered.startswith(shown.split("…")[0])
    else:
        assert shown == answered


def test_what_is_left_out_is_named_for_a_reason() -> None:
    lines = [" ".join(command.words) for command in COMMANDS]
    assert [words for words in NOT_HERE if not any(words in line for line in lines)] == []
    assert len(SHELL) > 20
    assert len(PYTHON) > 15


def test_there_are_ten_tasks() -> None:
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    assert [f"**{number}. " in page for number in range(1, 12)] == [True] * 10 + [False]
