"""A relaxation that was cut off goes on as it would have."""

import asyncio

import numpy as np
import pytest
from ase import Atoms

from app.atoms.structure import Structure
from app.backends.pair import PairBackend
from app.engine.budget import Budget
from app.engine.potential import Potential, PotentialOptions
from app.formats.ase_atoms import from_ase
from app.relax import RelaxationState, Relaxed, RelaxOptions, relax
from tests.relax.relaxing import SAFEGUARDS, cluster, strained_crystal

OPTIONS = RelaxOptions(fmax=0.005, steps=500, optimizer="lbfgs")


def whole(
    backend: PairBackend,
    structure: Structure,
    options: RelaxOptions,
    state: RelaxationState | None = None,
) -> tuple[Relaxed, list[RelaxationState]]:
    """Where a relaxation ends that begins at a state, and the states on its way."""
    states: list[RelaxationState] = []

    async def main() -> Relaxed:
        potential = Potential(backend, "", Budget(4096, 10**6, 64), PotentialOptions())
        potential.start()
        try:
            with potential.admission.admit(1, 1):
                return await relax(
                    potential, structure, options, SAFEGUARDS, None, None, state, states.append
                )
        finally:
            await potential.stop()

    return asyncio.run(main()), states


@pytest.mark.parametrize(
    ("atoms", "cell", "optimizer"),
    [
        *((cluster(13, 4), "fixed", name) for name in ("lbfgs", "fire", "internal")),
        *((strained_crystal(), "full", name) for name in ("lbfgs", "fire", "scaled-lbfgs")),
    ],
)
def test_it_goes_on_from_any_state_to_the_same_end(
    backend: PairBackend, atoms: Atoms, cell: str, optimizer: str
) -> None:
    structure = from_ase(atoms)
    options = OPTIONS.model_copy(update={"optimizer": optimizer, "cell": cell})
    end, states = whole(backend, structure, options)
    assert end.converged
    assert [state.steps for state in states] == list(range(5, end.steps + 1, 5))[: len(states)]
    for state in (states[0], states[-1]):
        again, later = whole(backend, structure, options, state)
        assert again.steps == end.steps
        assert all(each.steps > state.steps for each in later)
        # Pairs are summed in another order after a new search.
        np.testing.assert_allclose(
            again.structure.positions, end.structure.positions, rtol=0, atol=1e-9
        )
        np.testing.assert_allclose(again.structure.cell, end.structure.cell, rtol=0, atol=1e-9)
        assert again.initial.energy == end.initial.energy


def test_a_state_does_not_change_with_its_relaxation(backend: PairBackend) -> None:
    structure = from_ase(cluster(13, 4))
    _, states = whole(backend, structure, OPTIONS)
    assert len(states) > 4
    assert not np.array_equal(states[0].x, states[1].x)
    lengths = [len(state.optimizer.history) for state in states]  # type: ignore[attr-defined]
    assert lengths[:4] == [4, 9, 14, 19]
