"""A real shortage of memory, in a process of its own whose address space is limited."""

import os
import subprocess
import sys

from tests.paths import MODEL_STORE, ROOT

SCRIPT = """
import resource, sys
from pathlib import Path
from app.backends import load_backend
from app.backends.synthetic import lattice_piece
from app.engine.bisect import evaluate
from app.atoms.neighbors import build_graph
from app.atoms.prediction import StructurePrediction
from app.store.store import ModelStore

model = ModelStore(Path(sys.argv[1])).load("lennard-jones")
backend = load_backend(model)
graph = build_graph(lattice_piece(model.card, 2000, True), model.card.cutoff)
(alone,) = evaluate(backend, [graph])
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000,) * 2)
shortages = []
outcomes = evaluate(backend, [graph] * 16, lambda graphs: shortages.append(len(graphs)))
assert shortages[0] == 16, shortages
assert all(isinstance(o, StructurePrediction) for o in outcomes), outcomes
assert {o.energy for o in outcomes} == {alone.energy}
"""


def test_a_batch_beyond_the_memory_loses_nothing() -> None:
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # each would have memory of its own
    command = [sys.executable, "-c", SCRIPT, str(MODEL_STORE)]
    subprocess.run(command, cwd=ROOT, env=one_thread, check=True)
