"""Environments that lack what an extra of the distribution brings."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.paths import ROOT

HIDE = "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop().split(',')))\n"


def modules_of(extra: str) -> list[str]:
    """Names of the modules that an extra installs, without what those bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = project["optional-dependencies"][extra]
    return [re.split(r"[\[>]", each)[0].replace("-", "_") for each in requirements]


def run_without(
    extras: list[str], code: str, *arguments: str, folder: Path, **environment: str
) -> str:
    """What a process prints that runs code in a folder and cannot import what some extras install."""
    hidden = ",".join(module for extra in extras for module in modules_of(extra))
    done = subprocess.run(
        [sys.executable, "-c", HIDE + code, *arguments, hidden],
        cwd=folder,
        env={"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client'}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
