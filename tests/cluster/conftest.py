"""A cluster of two nodes for all tests that need one; without Ray they are skipped."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.paths import ROOT


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Of the cluster."""
    if find_spec("ray") is None:
        pytest.skip("ray is not installed: pip install 'equipot[cluster]'")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "client")])
    environment = os.environ | {"PYTHONPATH": paths, "RAY_AUTH_MODE": "disabled"}
    os.environ["RAY_AUTH_MODE"] = "disabled"
    held = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.held"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert held.stdin is not None
    assert held.stdout is not None
    try:
        said = held.stdout.readline().strip()
        while said and not said.rpartition(":")[2].isdigit():
            said = held.stdout.readline().strip()
        assert said, "the cluster did not start"
        yield said
    finally:
        held.communicate(timeout=60)
