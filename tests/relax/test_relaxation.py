"""Many structures in flight: who shares batches, and how each ends."""

import asyncio

import numpy as np
import pytest
from ase.constraints import FixAtoms

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.atoms.structure import Structure
from app.backends.pair import PairBackend
from app.engine.budget import Budget
from app.engine.potential import Potential, PotentialOptions
from app.errors import BackendError, InvalidStructure
from app.formats.ase_atoms import from_ase
from app.relax import RelaxOptions, Safeguards, relax
from app.store.card import ModelCard
from tests.relax.relaxing import cluster, relaxed


def test_fixed_atoms_stay_and_the_others_relax(backend: PairBackend) -> None:
    atoms = cluster(13, 4)
    atoms.set_constraint(FixAtoms([0, 5]))
    start = from_ase(atoms)
    (mine,) = relaxed(backend, [start], RelaxOptions(fmax=0.005, steps=500))
    assert mine.converged
    np.testing.assert_array_equal(mine.structure.positions[[0, 5]], start.positions[[0, 5]])
    assert np.linalg.norm(mine.prediction.forces[[0, 5]], axis=1).max() > 0.005
    assert (
        np.linalg.norm(mine.prediction.forces[np.delete(np.arange(13), [0, 5])], axis=1) < 0.005
    ).all()


def test_single_points_ride_with_relaxations(pair_card: ModelCard) -> None:
    sizes = []

    class Recording(PairBackend):
        def __call__(self, graph: Graph) -> Prediction:
            sizes.append(sorted(graph.n_atoms.tolist()))
            return super().__call__(graph)

    async def main() -> None:
        potential = Potential(Recording(pair_card), "", Budget(4096, 10**6, 64), PotentialOptions())
        potential.start()
        with potential.admission.admit(2, 10):
            moving = asyncio.create_task(
                relax(potential, from_ase(cluster(7, 1)), RelaxOptions(fmax=1e-9, steps=400))
            )
            while not moving.done():
                await potential.predict(from_ase(cluster(3, 1)))
            await moving
        await potential.stop()

    asyncio.run(main())
    assert [3, 7] in sizes


def test_a_relaxation_whose_caller_has_gone_leaves_the_queue(backend: PairBackend) -> None:
    async def main() -> int:
        potential = Potential(backend, "", Budget(4096, 10**6, 64), PotentialOptions())
        potential.start()
        with potential.admission.admit(1, 10):
            moving = asyncio.create_task(
                relax(potential, from_ase(cluster(7, 1)), RelaxOptions(fmax=1e-12, steps=10**9))
            )
            await asyncio.sleep(0.05)
            moving.cancel()
            await asyncio.gather(moving, return_exceptions=True)
            await potential.predict(from_ase(cluster(3, 1)))
        await potential.stop()
        return potential.workers.depth

    assert asyncio.run(main()) == 0


def test_an_atom_that_flies_off_is_stopped(pair_card: ModelCard) -> None:
    class Blowing(PairBackend):
        def __call__(self, graph: Graph) -> Prediction:
            prediction = super().__call__(graph)
            prediction.forces[:] = [[1.0, 0.0, 0.0]]
            return prediction

    start = from_ase(cluster(2, 1))
    options, near = RelaxOptions(steps=1000), Safeguards(max_displacement=3.0)
    (mine,) = relaxed(Blowing(pair_card), [start], options, near)
    assert "from its start, over the limit of 3" in mine.reason
    assert np.linalg.norm(mine.structure.positions - start.positions, axis=1).max() <= 3.0


def test_no_steps_is_one_evaluation(backend: PairBackend) -> None:
    start = from_ase(cluster(3, 1))
    (mine,) = relaxed(backend, [start], RelaxOptions(steps=0, fmax=1e-9))
    assert (mine.steps, mine.reason) == (0, "steps")
    np.testing.assert_array_equal(mine.structure.positions, start.positions)


def test_one_atom_converges_at_once(backend: PairBackend) -> None:
    (mine,) = relaxed(backend, [Structure(np.array([18]), np.zeros((1, 3)))], RelaxOptions())
    assert (mine.steps, mine.converged, mine.fmax) == (0, True, 0.0)


def test_relaxations_share_batches_and_do_not_disturb_each_other(pair_card: ModelCard) -> None:
    class Counting(PairBackend):
        batches = 0

        def __call__(self, graph: Graph) -> Prediction:
            self.batches += 1
            return super().__call__(graph)

    backend = Counting(pair_card)
    starts = [from_ase(cluster(7, seed)) for seed in range(8)]
    alone = [relaxed(backend, [s], RelaxOptions(fmax=0.01))[0] for s in starts]
    one_by_one, backend.batches = backend.batches, 0
    together = relaxed(backend, starts, RelaxOptions(fmax=0.01))
    assert backend.batches < one_by_one / 2
    for a, t in zip(alone, together, strict=True):
        assert t.steps == a.steps
        np.testing.assert_allclose(t.structure.positions, a.structure.positions, atol=1e-9)


class Failing(PairBackend):
    """Fails once the first atom has moved: raises, gives NaN, or forces without bounds."""

    fault = "raise"

    def __call__(self, graph: Graph) -> Prediction:
        prediction = super().__call__(graph)
        if np.any(graph.positions[0]):
            if self.fault == "raise":
                raise RuntimeError("no luck")
            prediction.forces[:] = np.nan if self.fault == "nan" else 1e7
        return prediction


@pytest.mark.parametrize(
    ("fault", "told"), [("raise", "no luck"), ("nan", "not finite"), ("huge", "over the limit")]
)
def test_explosion_keeps_the_last_sound_geometry(
    pair_card: ModelCard, fault: str, told: str
) -> None:
    backend = Failing(pair_card)
    backend.fault = fault
    start = Structure(np.array([18, 18]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3.3]]))
    (mine,) = relaxed(backend, [start], RelaxOptions(fmax=0.001))
    assert not mine.converged
    assert mine.reason.startswith("exploded: ")
    assert told in mine.reason
    assert mine.steps == 1
    np.testing.assert_array_equal(mine.structure.positions, start.positions)


def test_a_start_that_has_exploded_is_not_moved(backend: PairBackend) -> None:
    start = Structure(np.array([18, 18]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5]]))
    (mine,) = relaxed(backend, [start], RelaxOptions())
    assert (mine.steps, mine.converged) == (0, False)
    assert "1000" in mine.reason


def test_a_bad_start_is_an_error(backend: PairBackend) -> None:
    start = Structure(np.array([18, 18]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.01]]))
    with pytest.raises(InvalidStructure):
        relaxed(backend, [start], RelaxOptions())


def test_a_model_that_fails_on_the_start_is_an_error(pair_card: ModelCard) -> None:
    start = Structure(np.array([18, 18]), np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 3.5]]))
    with pytest.raises(BackendError):
        relaxed(Failing(pair_card), [start], RelaxOptions())
