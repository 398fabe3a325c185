import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.cell import Cell
from ase.constraints import FixAtoms
from ase.filters import UnitCellFilter
from ase.optimize import FIRE, LBFGS

from app.atoms.graph import Graph
from app.atoms.prediction import Prediction
from app.atoms.structure import Structure
from app.backends import Backend
from app.backends.pair import PairBackend
from app.engine.budget import Budget
from app.engine.potential import Potential, PotentialOptions
from app.errors import BackendError, InvalidRequest, InvalidStructure
from app.formats.ase_atoms import from_ase
from app.integrations.ase import EquipotCalculator
from app.relax import Relaxed, RelaxOptions, Safeguards, relax
from app.relax.options import CellFreedom
from app.store.card import ModelCard

ASE = {"fire": FIRE, "lbfgs": LBFGS}
MILLI = 1e-3
SAFEGUARDS = Safeguards()


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


def relaxed(
    backend: Backend,
    structures: Sequence[Structure],
    options: RelaxOptions,
    safeguards: Safeguards = SAFEGUARDS,
) -> list[Relaxed]:
    return relaxed_each(backend, [(structure, options) for structure in structures], safeguards)


def relaxed_each(
    backend: Backend,
    wanted: Sequence[tuple[Structure, RelaxOptions]],
    safeguards: Safeguards = SAFEGUARDS,
) -> list[Relaxed]:
    async def main() -> list[Relaxed]:
        potential = Potential(backend, "", Budget(4096, 10**6, 64), PotentialOptions())
        potential.start()
        try:
            with potential.admission.admit(len(wanted), 1):
                return await asyncio.gather(
                    *(relax(potential, s, options, safeguards) for s, options in wanted)
                )
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
            atoms.calc = EquipotCalculator(backend)
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
        options = RelaxOptions(fmax=0.005, steps=500, optimizer=optimizer, cell="full")  # type: ignore[arg-type]
        (mine,) = relaxed(backend, [from_ase(crystal)], options)
        crystal.calc = EquipotCalculator(backend)
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


@pytest.mark.parametrize("optimizer", ["fire", "lbfgs"])
@pytest.mark.parametrize(
    ("cell", "filtered"),
    [
        ("full", {"scalar_pressure": 0.01}),
        ("isotropic", {"hydrostatic_strain": True}),
        ("lengths", {"mask": [1, 1, 1, 0, 0, 0]}),
    ],
)
def test_cell_freedom_as_in_ase(
    backend: PairBackend, optimizer: Any, cell: CellFreedom, filtered: dict[str, Any]
) -> None:
    crystal = bulk("Ar", cubic=True, a=5.4) * (2, 1, 1)
    crystal.set_cell(crystal.cell @ np.diag([1.03, 0.98, 1.01]), scale_atoms=True)
    crystal.rattle(0.05, seed=1)
    crystal.set_constraint(FixAtoms([0, 3]))
    pressure = filtered.get("scalar_pressure", 0.0)
    options = RelaxOptions(fmax=0.005, steps=500, optimizer=optimizer, cell=cell, pressure=pressure)
    (mine,) = relaxed(backend, [from_ase(crystal)], options)
    crystal.calc = EquipotCalculator(backend)
    theirs = ASE[optimizer](UnitCellFilter(crystal, **filtered), logfile=None)
    assert theirs.run(fmax=0.005, steps=500)
    assert mine.converged
    assert abs(mine.steps - theirs.nsteps) <= 1
    assert abs(mine.prediction.energy - crystal.get_potential_energy()) < MILLI
    np.testing.assert_allclose(mine.structure.cell, crystal.cell, atol=1e-3)
    np.testing.assert_allclose(mine.structure.positions, crystal.positions, atol=1e-3)


def test_angles_of_a_skewed_cell_stay(backend: PairBackend) -> None:
    crystal = from_ase(bulk("Ar", a=5.6) * (2, 2, 2))
    start = replace(crystal, cell=crystal.cell * np.array([[1.05], [0.97], [1.0]]))
    (mine,) = relaxed(backend, [start], RelaxOptions(fmax=0.001, steps=500, cell="lengths"))
    assert mine.converged
    before, after = Cell(start.cell), Cell(mine.structure.cell)
    np.testing.assert_allclose(after.angles(), before.angles(), atol=1e-9)
    assert np.abs(after.lengths() - before.lengths()).max() > 0.05


def test_fixed_axes_stay_and_the_stress_along_the_free_one_goes(backend: PairBackend) -> None:
    start = from_ase(bulk("Ar", cubic=True, a=5.5) * (2, 2, 2))
    (mine,) = relaxed(
        backend, [start], RelaxOptions(fmax=1e-4, steps=500, cell="full", fixed_axes=("a", "b"))
    )
    assert mine.converged
    np.testing.assert_allclose(mine.structure.cell[:2], start.cell[:2], atol=1e-12)
    assert mine.prediction.stress is not None
    assert abs(mine.prediction.stress[2, 2]) < 1e-5
    assert abs(mine.prediction.stress[0, 0]) > 1e-4


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


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (RelaxOptions(pressure=0.1), "relax.pressure: the cell is fixed"),
        (RelaxOptions(fixed_axes=("a",)), "relax.fixed_axes: the cell is fixed"),
        (RelaxOptions(cell="full", fixed_axes=("a", "b", "c")), "all three axes are fixed"),
        (RelaxOptions(cell="isotropic", fixed_axes=("a",)), "cell 'lengths'"),
    ],
)
def test_contradicting_cell_options_are_refused(
    backend: PairBackend, options: RelaxOptions, told: str
) -> None:
    with pytest.raises(InvalidRequest, match=told):
        relaxed(backend, [from_ase(bulk("Ar", a=5.4))], options)


def test_mixed_company_ends_as_each_does_alone(backend: PairBackend) -> None:
    wanted = [
        (from_ase(cluster(7, 1)), RelaxOptions(fmax=0.01)),
        (from_ase(strained_crystal()), RelaxOptions(fmax=0.01, cell="full", optimizer="lbfgs")),
        (from_ase(cluster(13, 2)), RelaxOptions(fmax=0.002, optimizer="lbfgs")),
        (from_ase(bulk("Ar", a=5.0)), RelaxOptions(fmax=0.01, cell="isotropic")),
        (from_ase(cluster(5, 3)), RelaxOptions(steps=2, fmax=1e-6, optimizer="lbfgs")),
    ]
    together = relaxed_each(backend, wanted)
    for (structure, options), mine in zip(wanted, together, strict=True):
        (alone,) = relaxed(backend, [structure], options)
        assert (mine.steps, mine.reason) == (alone.steps, alone.reason)
        np.testing.assert_allclose(mine.structure.positions, alone.structure.positions, atol=1e-9)
        np.testing.assert_allclose(mine.structure.cell, alone.structure.cell, atol=1e-9)


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


def test_collapsing_cell_is_stopped(pair_card: ModelCard) -> None:
    class Crushing(PairBackend):
        def __call__(self, graph: Graph) -> Prediction:
            prediction = super().__call__(graph)
            prediction.forces[:] = 0.0
            prediction.stress[:] = 0.5 * np.eye(3)
            return prediction

    (mine,) = relaxed(Crushing(pair_card), [from_ase(bulk("Ar", a=9.0))], RelaxOptions(cell="full"))
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
        relaxed(backend, [from_ase(cluster(3, 1))], RelaxOptions(cell="full"))
