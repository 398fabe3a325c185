"""What serves is as light where torch is installed as where it is not: nothing imports it."""

import subprocess
import sys

import pytest

from tests.paths import ROOT

pytest.importorskip("torch")

SCRIPT = """
import sys
from tests.api.server import WATER, running
from tests.paths import MODEL_STORE

DIAMOND = {
    "symbols": ["C", "C"],
    "positions": [[0, 0, 0], [0.8917, 0.8917, 0.8917]],
    "cell": [[0, 1.7835, 1.7835], [1.7835, 0, 1.7835], [1.7835, 1.7835, 0]],
}
with running(MODEL_STORE, default_model="organic-xtb") as server:
    for structure in (WATER, DIAMOND):
        answer = server.predict({"structures": [structure], "relax": {"steps": 3}})
        assert "energy" in answer.json()["results"][0], answer.text
assert not {"torch", "e3nn"} & set(sys.modules)
assert not {"scipy.optimize", "ase.mep"} & set(sys.modules), "tasks import what they alone need"
"""


def test_a_server_that_has_answered_has_not_imported_torch() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, check=True)
