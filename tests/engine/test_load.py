"""From a version of the store to a potential."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.backends.synthetic import lattice_piece
from app.engine.calibration_cache import CalibrationCache
from app.engine.limits import BatchLimits
from app.engine.load import calibration_key, load_potential, open_backend
from app.engine.potential import PotentialOptions
from app.store.store import ModelStore
from tests.engine.calibrations import calibration
from tests.paths import MODEL_STORE, ROOT


def test_a_potential_is_measured_when_idle_and_the_next_one_knows(
    pair_store: Path, tmp_path: Path
) -> None:
    async def main() -> list[str]:
        sources = []
        for _ in range(2):
            model = ModelStore(pair_store).load("pairs@2")
            options = PotentialOptions(batch=BatchLimits(seconds=0.25), max_atoms=50)
            potential = load_potential(model, options, cache=CalibrationCache(tmp_path))
            potential.start()
            sources.append(potential.workers.budget.source)
            potential.measure_when_idle()
            while potential.workers.budget.source == "default":
                with potential.admission.admit(1, 21):
                    await potential.predict(lattice_piece(potential.card, 21, False))
                await asyncio.sleep(0)
            sources.append(potential.workers.budget.source)
            await potential.stop()
        return sources

    assert asyncio.run(main()) == ["default", "measured", "cached", "cached"]


def test_a_deterministic_potential_takes_no_budget_from_a_measurement(
    pair_store: Path, tmp_path: Path
) -> None:
    model, cache = ModelStore(pair_store).load("pairs@2"), CalibrationCache(tmp_path)
    sources = []
    for deterministic in (False, True):
        options = PotentialOptions(deterministic=deterministic)
        key = calibration_key(model, open_backend(model, options), options)
        cache.write(calibration().model_copy(update={"key": key}))
        sources.append(load_potential(model, options, cache=cache).workers.budget.source)
    assert sources == ["cached", "default"]


CRYSTAL = """
import asyncio, re, resource, sys
from pathlib import Path
import numpy as np
from app.atoms.structure import Structure
from app.engine.load import load_potential
from app.engine.potential import PotentialOptions
from app.store.store import ModelStore

step, side = 2.63, 20
grid = np.array(list(np.ndindex(side, side, side)))
random = np.random.default_rng(1)
crystal = Structure(
    np.full(side**3, 18),
    step * grid + random.normal(0.0, 0.05, grid.shape),
    step * side * np.eye(3),
    np.ones(3, dtype=bool),
)

def limit(megabytes):
    status = Path("/proc/self/status").read_text()
    used = 1024 * int(re.search(r"VmData:\\s+(\\d+) kB", status)[1])
    resource.setrlimit(resource.RLIMIT_DATA, (used + megabytes * 1_000_000, -1))

async def answered():
    potential = load_potential(
        ModelStore(Path(sys.argv[1])).load("lennard-jones"),
        PotentialOptions(threads=1, in_flight=1, max_edges=4_000_000),
    )
    potential.start()
    try:
        with potential.admission.admit(1, len(crystal)):
            return (await potential.predict(crystal)).energy, potential.workers.budget
    finally:
        await potential.stop()

if __name__ == "__main__":
    if sys.argv[2] != "unlimited":
        limit(int(sys.argv[2]))
    energy, budget = asyncio.run(answered())
    print(energy, budget.source)
"""


def of_a_crystal(megabytes: str) -> tuple[float, str]:
    """Energy of 8000 atoms with a million edges in so much memory, and where the budget in the end
    came from.
    """
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CRYSTAL, str(MODEL_STORE), megabytes]
    done = subprocess.run(
        command, cwd=ROOT, env=one_thread, check=True, stdout=subprocess.PIPE, text=True
    )
    energy, source = done.stdout.split(maxsplit=1)
    return float(energy), source.strip()


def test_a_crystal_in_a_small_container_is_cut_to_fit() -> None:
    """Its pieces are chosen by what is free, before a shortage."""
    whole, _ = of_a_crystal("unlimited")
    energy, source = of_a_crystal("250")
    assert energy == pytest.approx(whole, rel=1e-9)
    assert source == "default"
