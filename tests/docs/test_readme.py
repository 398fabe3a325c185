"""The README's own model, from structures to predictions, as it is typed."""

import re
import shlex
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from app.cli.main import main
from tests.api.server import running
from tests.paths import MODEL_STORE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = (
    re.search(r"## Your own model.*?```(?:sh)?\n(.*?)```", README, re.DOTALL)
    .group(1)
    .replace("\\\n", " ")
)
PYTHON = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
CONFIG = re.search(r"cat > (\S+) <<END\n(.*?)END\n", BLOCK, re.DOTALL)


def distorted(name: str, seed: int) -> Atoms:
    atoms = molecule(name)
    atoms.rattle(0.05, seed=seed)
    return atoms


@pytest.mark.slow
def test_the_commands_lead_from_structures_to_predictions(tmp_path, monkeypatch):
    pytest.importorskip("tblite", reason="tblite is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EQUIPOT_MODEL_STORE", raising=False)
    ase.io.write("molecules.xyz", [distorted(("H2O", "CH4")[i % 2], i) for i in range(20)])
    Path(CONFIG.group(1)).write_text(CONFIG.group(2))
    commands = [shlex.split(line)[1:] for line in BLOCK.splitlines() if line.startswith("equipot ")]
    assert [command[0] for command in commands] == [
        "label",
        "train",
        "export",
        "evaluate",
        "predict",
        "serve",
    ]
    for command in commands[:-1]:
        shorter = {
            "label": ["--processes", "1"],
            "train": ["--set", "epochs=20", "--set", "threads=1"],
        }
        assert main([*command, *shorter.get(command[0], [])]) == 0
    assert len(ase.io.read("predicted.xyz", index=":")) == 20
    assert Path("parity.png").exists()


def test_the_client_relaxes_aspirin(monkeypatch, capsys):
    pytest.importorskip("rdkit")
    monkeypatch.chdir(ROOT)
    names = {}
    with running(MODEL_STORE, default_model="organic-xtb", threads=1) as server:
        exec(PYTHON.replace("http://localhost:8000", f"http://127.0.0.1:{server.port}"), names)
        names["client"].close()
    shown = capsys.readouterr().out.splitlines()
    assert " eV True Atoms(" in shown[0]
    assert " eV True " in shown[1]
    assert np.linalg.norm(names["aspirin"].get_forces(), axis=1).max() < 0.02
