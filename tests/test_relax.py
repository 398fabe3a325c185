import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.filters import UnitCellFilter
from ase.optimize import FIRE, LBFGS

from app.backends import Backend
from app.backends.pair import PairBackend
from app.batching import Bound
from app.errors import BackendError, InvalidRequest, InvalidStructure
from app.graph import Graph
from app.neighbors import build_graph
from app.potential import Potential
from app.prediction import Prediction, split
from app.relax import Relaxed, RelaxOptions, relax
from app.schedule import Budget
from app.store import ModelCard
from app.structure import Structure

ASE = {"fire": FIRE, "lbfgs": LBFGS}
MILLI = 1e-3


class Ours(Calculator):
    """The backend under test as an ASE calculator, so that both optimisers walk on the same surface."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.backend = backend

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        graph = build_graph(from_ase(self.atoms), self.backend.card.cutoff)
        (found,) = split(self.backend(graph), graph)
        self.results = {"energy": found.energy, "forces": found.forces}
        if found.stress is not None:
            self.results["stress"] = found.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def from_ase(atoms: Atoms) -> Structure:
    return Structure(atoms.numbers, atoms.positions, np.array(atoms.cell), atoms.pbc)


def cluster(atoms: int, seed: int) -> Atoms:
    rng = np.random.default_rng(seed)
    grid = 3.8 * np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3)
    return Atoms(f"Ar{atoms}", grid[:atoms] + rng.uniform(-0.3, 0.3, (atoms, 3)))


def strained_crystal() -> Atoms:
    crystal = bulk("Ar", cubic=True, a=5.4) * (2, 2, 2)
    strain = np.array([[0.03, 0.02, 0.0], [0.0, -0.02, 0.01], [0.01, 0.0, 0.04]])
    crystal.set_cell(crystal.cell @ (np.eye(3) + strain), scale_atoms=True)
    crystal.rattle(0.05, seed=1)
    return crystal


def relaxed(backend: Backend, structures: Sequence[Structure], options: RelaxOptions) -> list[Relaxed]:
    async def main() -> list[Relaxed]:
        potential = Potential(backend, "", Budget(4096, 10**6, 64), Bound(1000, 10**6), 1000, 10**6)
        potential.start()
        try:
            with potential.admit(len(structures), 1):
                return await asyncio.gather(*(relax(potential, s, options) for s in structures))
        finally:
            await potential.stop()

    return asyncio.run(main())


@pytest.fixture
def backend(pair_card: ModelCard) -> PairBackend:
    return PairBackend(pair_card)


@pytest.mark.parametrize("optimizer", ["fire", "lbfgs"])
class TestAgainstAse:
    def test_clusters(self, backend: PairBackend, optimizer: str) -> None:
        clusters = [cluster(n, n) for n in (2, 3, 7, 13, 20)]
        options = RelaxOptions(fmax=0.005, steps=500, optimizer=optimizer)  # type: ignore[arg-type]
        ours = relaxed(backend, [from_ase(c) for c in clusters], options)
        for atoms, mine in zip(clusters, ours, strict=True):
            atoms.calc = Ours(backend)
            theirs = ASE[optimizer](atoms, logfile=None)
            assert theirs.run(fmax=0.005, steps=500)
            assert mine.converged
            assert mine.reason == "converged"
            assert abs(mine.prediction.energy - atoms.get_potential_energy()) < MILLI
            assert abs(mine.steps - theirs.nsteps) <= 1
            assert mine.fmax == pytest.approx(np.linalg.norm(mine.prediction.forces, axis=1).max())
            np.testing.assert_allclose(mine.structure.positions, atoms.positions, atol=1e-3)

    def test_cell(self, backend: PairBackend, optimizer: str) -> None:
        crystal = strained_crystal()
        options = RelaxOptions(fmax=0.005, steps=500, optimizer=optimizer, cell=True)  # type: ignore[arg-type]
        (mine,) = relaxed(backend, [from_ase(crystal)], options)
        crystal.calc = Ours(backend)
        theirs = ASE[optimizer](UnitCellFilter(crystal), logfile=None)
        assert theirs.run(fmax=0.005, steps=500)
        assert mine.converged
        assert "virial" in mine.criterion
        assert abs(mine.prediction.energy - crystal.get_potential_energy()) < MILLI
        assert abs(mine.steps - theirs.nsteps) <= 1
        np.testing.assert_allclose(mine.structure.cell, crystal.cell, atol=1e-3)

    def test_step_limit_is_a_result(self, backend: PairBackend, optimizer: str) -> None:
        options = RelaxOptions(fmax=1e-4, steps=3, optimizer=optimizer)  # type: ignore[arg-type]
        (mine,) = relaxed(backend, [from_ase(cluster(7, 1))], options)
        assert (mine.converged, mine.steps, mine.reason) == (False, 3, "steps")
        assert mine.prediction.energy < mine.initial.energy


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


@pytest.mark.parametrize(("fault", "told"), [("raise", "no luck"), ("nan", "not finite"), ("huge", "over the limit")])
def test_explosion_keeps_the_last_sound_geometry(pair_card: ModelCard, fault: str, told: str) -> None:
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


def test_collapsing_cell_is_stopped(pair_card: ModelCard) -> None:
    class Crushing(PairBackend):
        def __call__(self, graph: Graph) -> Prediction:
            prediction = super().__call__(graph)
            prediction.forces[:] = 0.0
            prediction.stress[:] = 0.5 * np.eye(3)
            return prediction

    (mine,) = relaxed(Crushing(pair_card), [from_ase(bulk("Ar", a=9.0))], RelaxOptions(cell=True))
    assert "times its first volume" in mine.reason or "apart" in mine.reason
    assert mine.structure.volume > 0.1 * 9.0**3 / 4


def test_a_bad_start_is_an_error(backend: PairBackend) -> None:
    start = Structure(np.array([18, 18]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.01]]))
    with pytest.raises(InvalidStructure):
        relaxed(backend, [start], RelaxOptions())


def test_a_model_that_fails_on_the_start_is_an_error(pair_card: ModelCard) -> None:
    start = Structure(np.array([18, 18]), np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 3.5]]))
    with pytest.raises(BackendError):
        relaxed(Failing(pair_card), [start], RelaxOptions())


def test_cell_of_a_molecule_is_refused(backend: PairBackend) -> None:
    with pytest.raises(InvalidRequest, match="periodic in all three directions"):
        relaxed(backend, [from_ase(cluster(3, 1))], RelaxOptions(cell=True))
