"""docs/new-architecture.md, followed to the letter in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.training.labelled import molecules, write

PAGE = (ROOT / "docs" / "new-architecture.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MODEL, LINE, TEST, CONFIG, COMMANDS = (text for _, text in BLOCKS)


@pytest.fixture
def project(tmp_path):
    """A copy of the project in which the page's file, line and test have been added."""
    for folder in ("app", "tests"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "app/training/models/density.py").write_text(MODEL)
    package = tmp_path / "app/training/models/__init__.py"
    package.write_text(
        package.read_text().replace("if TYPE_CHECKING:", f"{LINE}\nif TYPE_CHECKING:")
    )
    (tmp_path / "tests/training/models/test_density.py").write_text(TEST)
    return tmp_path


def python(folder: Path, *arguments: str) -> str:
    """What a command of the copy prints; its status must be zero."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    command = [sys.executable, "-W", "ignore", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_page_gives_an_architecture_that_keeps_the_contract(project):
    shown = python(
        project, "-m", "pytest", "-p", "no:cacheprovider", "tests/training/models/test_density.py"
    )
    assert re.search(r"^\d\d passed", shown, re.MULTILINE)


@pytest.mark.slow
def test_the_page_gives_an_architecture_that_is_trained_exported_and_served(project):
    write(project / "train.xyz", molecules(24))
    (project / "density.yaml").write_text(CONFIG)
    commands = [command.split()[1:] for command in COMMANDS.splitlines()]
    python(
        project,
        "-c",
        f"from app.cli.main import main; print([main(command) for command in {commands}])",
    )
    predicted = (project / "predicted.xyz").read_text()
    assert predicted.count("model=density@1") == 24
