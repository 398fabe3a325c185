"""From a version of the store to a potential."""

import asyncio
from pathlib import Path

from app.backends.synthetic import lattice_piece
from app.engine.calibration_cache import CalibrationCache
from app.engine.limits import BatchLimits
from app.engine.load import calibration_key, load_potential, open_backend
from app.engine.potential import PotentialOptions
from app.store.store import ModelStore
from tests.engine.calibrations import calibration


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
