"""Relaxations in one batch end where each ends alone, to the last bit, where asked for."""

import asyncio

import pytest
from ase.build import molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from app.atoms.structure import Structure
from app.engine.load import load_potential
from app.engine.potential import PotentialOptions
from app.formats.ase_atoms import from_ase
from app.relax import Relaxed, RelaxOptions, relax
from app.store.store import ModelStore
from tests.paths import MODEL_STORE

STORE = ModelStore(MODEL_STORE)
MOLECULES = [
    from_ase(molecule(name)) for name in ("H2O", "CH4", "CH3OH", "CH3CH2OH", "C6H6", "NH3")
]


def relaxed(structures: list[Structure], optimizer: str) -> list[Relaxed]:
    """The ends of all, begun at the same time."""
    options = RelaxOptions(fmax=0.02, steps=15, optimizer=optimizer)  # type: ignore[arg-type]

    async def main() -> list[Relaxed]:
        once = PotentialOptions(threads=1, deterministic=True)
        potential = load_potential(STORE.load("organic-xtb"), once)
        potential.start()
        try:
            with potential.admission.admit(len(structures), sum(map(len, structures))):
                return await asyncio.gather(*(relax(potential, s, options) for s in structures))
        finally:
            await potential.stop()

    return asyncio.run(main())


@pytest.mark.parametrize("optimizer", ["fire", "lbfgs", "scaled-lbfgs", "internal"])
@settings(max_examples=4)
@given(st.lists(st.sampled_from(range(len(MOLECULES))), min_size=2, max_size=6))
def test_the_same_bits_in_any_company(optimizer: str, indices: list[int]) -> None:
    together = relaxed([MOLECULES[index] for index in indices], optimizer)
    for index, actual in zip(indices, together, strict=True):
        (alone,) = relaxed([MOLECULES[index]], optimizer)
        assert actual.steps == alone.steps
        assert actual.structure.positions.tobytes() == alone.structure.positions.tobytes()
        assert actual.prediction.forces.tobytes() == alone.prediction.forces.tobytes()
        assert actual.prediction.energy == alone.prediction.energy
