"""The wheel of the native kernel, built here, and installed where there is no compiler."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import MODEL_STORE, ROOT

pytest.importorskip("scikit_build_core", reason="what builds the kernel is not installed")

COMPILER = os.environ.get("CXX", "g++")
QUICKLY = ["cmake.build-type=Debug", "install.strip=true"]
"""Without optimisation it is compiled in a tenth of the time."""
ASK = """
import sys, numpy as np, equipot_kernel
from app.atoms.neighbors import build_graph
from app.atoms.structure import Structure
from app.backends import load_backend
from app.store.store import ModelStore
water = Structure([8, 1, 1], np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]))
backend = load_backend(ModelStore(sys.argv[1]).load("organic-xtb"), threads=1, backend="kernel")
prediction = backend(build_graph(water, backend.card.cutoff))
print(equipot_kernel.FOLDER.parent)
print(np.abs(prediction.forces.sum(axis=0)).max() < 1e-5, float(prediction.energies.sum()) < -100)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in (COMPILER, "cmake"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} to build the kernel with")
    built, sources = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("kernel") / "kernel"
    shutil.copytree(ROOT / "kernel", sources, ignore=shutil.ignore_patterns("build"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    settings = [f"--config-settings={setting}" for setting in QUICKLY]
    where = ["--no-build-isolation", "--wheel-dir", str(built), str(sources)]
    subprocess.run([*pip, *settings, *where], check=True)
    (file,) = built.iterdir()
    return file


@pytest.mark.slow
def test_it_installs_and_answers_without_a_compiler(wheel: Path, tmp_path: Path) -> None:
    """It belongs to no version of Python, and a machine without any program on its path can use it."""
    assert wheel.name.startswith("equipot_kernel-")
    assert "-py3-none-" in wheel.name
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    bare = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}
    bare |= {
        "PATH": str(empty),
        "PYTHONPATH": os.pathsep.join(map(str, (site, ROOT, ROOT / "client"))),
    }
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", str(site), str(wheel)], env=bare, cwd=empty, check=True)
    asked = [sys.executable, "-c", ASK, str(MODEL_STORE)]
    done = subprocess.run(asked, env=bare, cwd=empty, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(site), "True", "True"]
